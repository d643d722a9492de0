import assert from "node:assert/strict";
import { dayOf } from "../../src/core/access/calendar.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { openStores } from "../../src/redis/stores.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

const LIMITS = { maxOpen: 4, rpm: 1000, itpm: 1_000_000, otpm: 1_000_000, budgetDay: 1_000_000 };

/** A key with all limits, and one answered request of it at the first gateway. */
async function useKey(fleet: Fleet): Promise<string> {
  const admin = new KeyAdministration(openStores(fleet.probe, fleet.keys).access, Date.now);
  const { key, secret } = await admin.create({ name: "laptop", tenant: "lab", ...LIMITS });
  const headers = { authorization: `Bearer ${secret}` };
  const { url } = fleet.gateway;
  await until("the key", async () => {
    const [without, own] = [await fetch(`${url}/v1/models`), await fetch(`${url}/v1/models`, { headers })];
    return without.status === 401 && own.status === 200;
  });
  const body = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hello" }] });
  const answer = await fetch(`${url}/v1/chat/completions`, { method: "POST", headers, body });
  assert.equal(answer.status, 200);
  await answer.text();
  return key.id;
}

journey("a gateway that stops leaves no slot, and its usage is in Redis at once", {}, async (fleet) => {
  const key = await useKey(fleet);
  fleet.gateway.signal("SIGTERM");
  assert.equal(await fleet.gateway.exited, 0);
  const { usage } = openStores(fleet.probe, fleet.keys);
  const records = await usage.usageOn("lab", dayOf(await usage.now()));
  assert.deepEqual(
    records.map((record) => [record.key, record.requests]),
    [[key, 1]],
  );
  for (const scope of [{ tenant: "lab", key }, { tenant: "lab" }]) {
    assert.equal(await fleet.probe.command("EXISTS", fleet.keys.openSlots(scope)), 0);
  }
});

/** It answers pings and reads, so that no connection breaks, and takes no write. A takeover pauses it so. */
journey("a gateway and a worker stop while Redis takes no writes", {}, async (fleet) => {
  await useKey(fleet);
  await fleet.probe.command("CLIENT", "PAUSE", "600000", "WRITE");
  try {
    const programs = [fleet.gateway, fleet.post().worker];
    for (const program of programs) program.signal("SIGTERM");
    assert.deepEqual(await Promise.all(programs.map(async ({ exited }) => exited)), [0, 0]);
    assert.match(fleet.gateway.story, /Redis did not answer in time/);
  } finally {
    await fleet.probe.command("CLIENT", "UNPAUSE");
  }
});
