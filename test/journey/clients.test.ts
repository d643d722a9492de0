import assert from "node:assert/strict";
import type { Recorded, StandIn } from "../rig/backends/stand-in.ts";
import { allDone, askAll, Asked, assertAnswered, type Question, WAYS } from "../rig/fleet/asked.ts";
import { journey } from "../rig/fleet/fleet.ts";
import { gaugeOf } from "../rig/fleet/leaks.ts";
import { until } from "../rig/until.ts";

const SLOTS = 3;
const LONG = 1000;

/** Leaves all at once; gives the ms until the backend had noticed the last of them. */
async function leave(asked: readonly Asked[], standIn: StandIn): Promise<number> {
  const before = standIn.requests.filter(({ outcome }) => outcome === "aborted").length;
  const leftAt = performance.now();
  for (const one of asked) one.leave();
  await standIn.waitFor("aborted", before + asked.length);
  await allDone(asked);
  for (const one of asked) assert.equal(one.reason, undefined, "no end was told");
  const times = standIn.requests.map((one: Recorded) => one.endedAt);
  return Math.max(...times) - leftAt;
}

const CASES: readonly (Omit<Question, "way" | "tokens"> & {
  readonly about: string;
  readonly prefill: boolean;
})[] = [
  { about: "in the middle of a stream", stream: true, prefill: false },
  { about: "before the first token", stream: true, prefill: true },
  { about: "while the answer is made in one piece", stream: false, prefill: false },
];

/** A worker that looks at its tasks only with each renewal of its leases would look far too late. */
const RARE_RENEWALS = { posts: [{ slots: SLOTS }], env: { SGNET_LEASE_MS: "600000" } };

journey("a client that leaves stops its generation", RARE_RENEWALS, async (fleet, t) => {
  const { standIn } = fleet.post();
  for (const { about, stream, prefill } of CASES) {
    await t.test(about, async (inner) => {
      Object.assign(standIn.behaviour, { tokenMs: 20, firstTokenMs: prefill ? 600_000 : 0 });
      const running = standIn.requests.length + SLOTS;
      const asked = askAll(fleet.gateway, WAYS, { stream, tokens: LONG });
      await standIn.waitFor("request", running);
      if (stream && !prefill) await until("tokens", () => asked.every((one) => one.tokens > 2));
      const ms = await leave(asked, standIn);
      inner.diagnostic(`the backend knew after ${ms.toFixed(1)} ms`);
      await fleet.settled();
    });
  }
});

journey("a client that leaves the queue is never run", { posts: [{ slots: SLOTS }] }, async (fleet) => {
  const { standIn } = fleet.post();
  standIn.behaviour.tokenMs = 20;
  const running = askAll(fleet.gateway, WAYS, { stream: true, tokens: 60 });
  await standIn.waitFor("request", SLOTS);
  const queued = askAll(fleet.gateway, WAYS, { stream: true, tokens: 60, prompt: "never run this" });
  const stays = new Asked(fleet.gateway, { way: "openai-chat", stream: false, tokens: 5 });
  await until("seven open tasks", async () => (await gaugeOf(fleet.gateway, "sgnet_open_tasks")) === 7);
  for (const one of queued) one.leave();
  await until("four open tasks", async () => (await gaugeOf(fleet.gateway, "sgnet_open_tasks")) === 4);
  await allDone([...running, stays]);
  for (const one of [...running, stays]) assertAnswered(one);
  standIn.behaviour.tokenMs = 0;
  const later = askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 });
  await allDone(later);
  for (const one of later) assertAnswered(one);
  assert.ok(standIn.requests.every(({ raw }) => !raw.includes("never run this")));
});

const CLIENTS = 20;

journey(
  "a backend never has more requests than slots, and serves in order",
  { posts: [{ slots: 2 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.firstTokenMs = 100;
    const asked: Asked[] = [];
    for (let n = 0; n < CLIENTS; n += 1) {
      const way = WAYS[n % WAYS.length] ?? "ollama-chat";
      asked.push(new Asked(fleet.gateway, { way, stream: n % 2 === 0, tokens: 9, prompt: `client ${n}.` }));
      await until("an open task", async () => (await gaugeOf(fleet.gateway, "sgnet_tasks_opened_total")) > n);
    }
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    assert.equal(standIn.peak, 2);
    const order = standIn.requests.map(({ raw }) => Number(/client (\d+)\./.exec(raw)?.[1]));
    assert.equal(order.length, CLIENTS);
    for (const [place, client] of order.entries()) {
      assert.ok(Math.abs(place - client) <= 1, `served in the order ${order.join(" ")}`);
    }
  },
);
