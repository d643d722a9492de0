import assert from "node:assert/strict";
import { isObject } from "../../src/core/json.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { openStores } from "../../src/redis/stores.ts";
import { newFolder, runCommand } from "../rig/command.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

/** Runs `sgnet <args> --json` as an operator does. */
async function sgnet(fleet: Fleet, ...args: string[]): Promise<JsonObject> {
  const folder = newFolder();
  const env = { REDIS_URL: fleet.redisUrl };
  const { code, stdout, stderr } = await runCommand([...args, "--json"], { cwd: folder.path, env });
  folder.remove();
  assert.equal(code, 0, stdout + stderr);
  const told: unknown = JSON.parse(stdout);
  assert.ok(isObject(told));
  return told;
}

function secretIn({ secret }: JsonObject): string {
  return typeof secret === "string" ? secret : assert.fail("no secret");
}

/** Asks one gateway with a secret. */
async function ask(
  fleet: Fleet,
  line: string,
  call: { secret: string; at?: number; body?: object },
): Promise<Response> {
  const [method = "", path = ""] = line.split(" ");
  const { secret, at = 0, body } = call;
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const headers = { authorization: `Bearer ${secret}` };
  return fetch(`${fleet.gateways[at]?.url}${path}`, { method, headers, ...sent });
}

async function statusOf(...asked: Parameters<typeof ask>): Promise<number> {
  const response = await ask(...asked);
  await response.body?.cancel();
  return response.status;
}

journey(
  "keys are made by a command and by the admin API, work at every gateway, and each action names its author",
  { gateways: 2, posts: [] },
  async (fleet) => {
    const root = secretIn(await sgnet(fleet, "keys", "create", "root", "--role", "admin"));
    const watcher = secretIn(await sgnet(fleet, "keys", "create", "watcher", "--role", "observer"));
    await until(
      "the admin",
      async () => (await statusOf(fleet, "GET /admin/keys", { secret: root })) === 200,
    );
    const made = await ask(fleet, "POST /admin/keys", { secret: root, body: { name: "alice" } });
    assert.equal(made.status, 201);
    const alice = secretIn((await made.json()) as JsonObject);
    for (const at of [0, 1]) {
      await until("401 without a key, 200 with one", async () => {
        const none = await statusOf(fleet, "GET /v1/models", { secret: "", at });
        return none === 401 && (await statusOf(fleet, "GET /v1/models", { secret: alice, at })) === 200;
      });
    }
    assert.equal(await statusOf(fleet, "DELETE /admin/keys/root", { secret: alice }), 403);
    assert.equal(await statusOf(fleet, "GET /admin/audit", { secret: watcher }), 403);
    assert.equal(await statusOf(fleet, "DELETE /admin/keys/alice", { secret: root }), 200);
    await until(
      "its end",
      async () => (await statusOf(fleet, "GET /v1/models", { secret: alice, at: 1 })) === 401,
    );

    const { audit } = openStores(fleet.probe, fleet.keys);
    const entries = await until("all entries", async () => {
      const found = await audit.latest({ count: 100 });
      return found.length >= 6 && found.toReversed();
    });
    const told = entries.map(({ who, action, outcome }) => [who.split(":")[0], action, outcome]);
    assert.deepEqual(told, [
      ["cli", "keys.create", "done"],
      ["cli", "keys.create", "done"],
      ["root", "keys.create", "done"],
      ["alice", "keys.revoke", "refused"],
      ["watcher", "GET /admin/audit", "refused"],
      ["root", "keys.revoke", "done"],
    ]);
    const all = JSON.stringify(entries) + fleet.gateways.map(({ story }) => story).join("");
    for (const secret of [root, watcher, alice]) assert.equal(all.includes(secret), false);
  },
);
