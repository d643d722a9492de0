import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import type { TestContext } from "node:test";
import { isObject } from "../../src/core/json.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { Auditor } from "../../src/gateway/access/auditor.ts";
import { auditRoute } from "../../src/gateway/admin/audit-route.ts";
import { keyRoutes } from "../../src/gateway/admin/key-routes.ts";
import { tenantRoutes } from "../../src/gateway/admin/tenant-routes.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { buildFallback } from "../../src/gateway/routes.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { until } from "../rig/until.ts";
import { serve } from "./http-rig.ts";

const DAY_MS = 86_400_000;

interface Told {
  readonly status: number;
  readonly body: JsonObject;
}

/** A member that must be a text. */
function text(value: unknown): string {
  return typeof value === "string" ? value : assert.fail(`no text: ${JSON.stringify(value)}`);
}

function namesIn({ body }: Told, list: string): unknown[] {
  return (body[list] as JsonObject[]).map((one) => one["name"] ?? one["target"]);
}

/** Asks as the holder of a key. */
type Ask = (line: string, body?: Json, key?: string) => Promise<Told>;

describe("the admin API of keys and tenants", () => {
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(() => rig.close());
  afterEach(async () => {
    await rig.connection.command("FLUSHDB");
  });

  const open = async (t: TestContext, adminKeys = "root"): Promise<Ask> => {
    const keyring = new Keyring({ apiKeys: "user", adminKeys: "root" });
    const { access, audit } = rig.stores;
    const auditor = new Auditor({ audit, keyring, log: { warn: () => {} }, mono: () => performance.now() });
    const records = new KeyAdministration(access, Date.now);
    const host = { keyring, auditor, unready: () => undefined, records, adminKeys, now: Date.now };
    const routes = [...keyRoutes(host), ...tenantRoutes(host), auditRoute({ ...host, audit })];
    const { port } = await serve(t, { routes, ...buildFallback(routes) });
    return async (line, body, key = "root") => {
      const [method = "", path = ""] = line.split(" ");
      const sent = body === undefined ? {} : { body: JSON.stringify(body) };
      const headers = { authorization: `Bearer ${key}` };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...sent });
      const told: unknown = await response.json();
      assert.ok(isObject(told));
      return { status: response.status, body: told };
    };
  };

  const audited = async (): Promise<string[]> =>
    (await rig.stores.audit.latest({ count: 100 })).map(
      ({ who, action, target, outcome }) => `${who} ${action} ${target.split(" ")[0]} ${outcome}`,
    );

  it("creates a key, tells its secret once, and never a digest", async (t) => {
    const ask = await open(t);
    const { status, body } = await ask("POST /admin/keys", {
      name: "alice",
      rpm: 60,
      tenant: "lab",
      weight: 3,
    });
    assert.equal(status, 201);
    assert.match(text(body["secret"]), /^sg-[\w-]{49}$/);
    const { secret: _secret, ...shown } = body;
    assert.deepEqual([shown["name"], shown["rpm"], shown["tenant"]], ["alice", 60, "lab"]);
    assert.deepEqual(await ask("GET /admin/keys/alice"), { status: 200, body: shown });
    assert.deepEqual(await ask(`GET /admin/keys/${text(shown["id"])}/`), { status: 200, body: shown });
    assert.deepEqual(await ask("GET /admin/keys"), { status: 200, body: { keys: [shown] } });
    assert.equal((await ask("GET /admin/tenants/lab")).body["weight"], 3);
    assert.doesNotMatch(JSON.stringify(shown), /digest|secret/);
    const [entry = assert.fail()] = await rig.stores.audit.latest({ count: 1 });
    assert.deepEqual(entry.changes, { name: "alice", rpm: 60, tenant: "lab", weight: 3 });
    assert.equal(entry.from, "127.0.0.1");
  });

  it("changes, rotates and revokes a key, by name or id", async (t) => {
    const ask = await open(t);
    const { body: made } = await ask("POST /admin/keys", { name: "a/b c", rpm: 60 });
    const at = `/admin/keys/${encodeURIComponent("a/b c")}`;
    const changed = await ask(`PATCH ${at}`, { rpm: null, maxOpen: 2, expires: "90d" });
    assert.equal(changed.status, 200);
    assert.equal("rpm" in changed.body, false);
    assert.ok(Math.abs(Number(changed.body["expires"]) - Date.now() - 90 * DAY_MS) < 60_000);
    const outdated = await ask(`PATCH ${at}`, { rpm: 1, version: made["version"] ?? null });
    assert.equal(outdated.status, 409);
    const rotated = await ask(`POST ${at}/rotate`);
    assert.notEqual(rotated.body["secret"], made["secret"]);
    const { former } = rotated.body;
    assert.ok(isObject(former) && Math.abs(Number(former["until"]) - Date.now() - DAY_MS) < 60_000);
    assert.deepEqual(Object.keys(former), ["until"]);
    assert.equal("former" in (await ask(`POST ${at}/rotate`, { overlap: "0" })).body, false);
    const gone = await ask(`DELETE /admin/keys/${text(made["id"])}`);
    assert.equal(typeof gone.body["disabled"], "number");
    assert.equal((await ask(`DELETE /admin/keys/${text(made["id"])}`)).status, 200, "it is done already");
    assert.deepEqual((await audited()).toReversed(), [
      "env-admin-1 keys.create a/b done",
      "env-admin-1 keys.set a/b done",
      "env-admin-1 keys.rotate a/b done",
      "env-admin-1 keys.rotate a/b done",
      "env-admin-1 keys.revoke a/b done",
    ]);
  });

  it("creates, changes and removes tenants", async (t) => {
    const ask = await open(t);
    const made = await ask("POST /admin/tenants", { name: "lab", budgetDay: 1000 });
    assert.deepEqual([made.status, made.body["budgetDay"]], [201, 1000]);
    const changed = await ask("PATCH /admin/tenants/lab", { weight: 2, budgetDay: null });
    assert.deepEqual([changed.body["weight"], changed.body["budgetDay"]], [2, undefined]);
    assert.deepEqual((await ask("GET /admin/tenants")).body, { tenants: [changed.body] });
    assert.equal((await ask("DELETE /admin/tenants/lab")).status, 200);
    assert.equal((await ask("GET /admin/tenants/lab")).status, 404);
    assert.deepEqual((await audited()).toReversed(), [
      "env-admin-1 tenants.create lab done",
      "env-admin-1 tenants.set lab done",
      "env-admin-1 tenants.remove lab done",
    ]);
  });

  it("lists page by page", async (t) => {
    const ask = await open(t);
    for (const name of ["c", "a", "b"]) await ask("POST /admin/keys", { name });
    const first = await ask("GET /admin/keys?limit=2");
    assert.deepEqual(namesIn(first, "keys"), ["a", "b"]);
    const second = await ask(`GET /admin/keys?limit=2&after=${text(first.body["next"])}`);
    assert.deepEqual([namesIn(second, "keys"), second.body["next"]], [["c"], undefined]);
    const log = await ask("GET /admin/audit?limit=2");
    const rest = await ask(`GET /admin/audit?limit=2&after=${text(log.body["next"])}`);
    assert.deepEqual([namesIn(log, "entries").length, namesIn(rest, "entries").length], [2, 1]);
    for (const query of ["limit=0", "limit=x", "limit=1001", "limit=-1", "limit=2&after=none"]) {
      assert.equal((await ask(`GET /admin/keys?${query}`)).status, 400, query);
    }
    assert.equal((await ask("GET /admin/audit?after=x")).status, 400);
  });

  const mistakes: readonly (readonly [line: string, body: Json | undefined, status: number, says: RegExp])[] =
    [
      ["POST /admin/keys", {}, 400, /a key needs a name/],
      ["POST /admin/keys", undefined, 400, /missing request body/],
      ["POST /admin/keys", [], 400, /must be a JSON object/],
      ["POST /admin/keys", { name: "x", rpm: "60" }, 400, /^rpm must be a whole number/],
      ["POST /admin/keys", { name: "x", secret: "mine" }, 400, /'secret' cannot be set/],
      ["POST /admin/keys", { name: "x", digest: "0".repeat(64) }, 400, /'digest' cannot be set/],
      ["POST /admin/keys", { name: "x", expires: "yesterday" }, 400, /^expires must be a time to come/],
      ["POST /admin/keys", { name: "x", maxRunning: 1 }, 400, /fair queue/],
      ["GET /admin/keys/none", undefined, 404, /there is no key 'none'/],
      ["PATCH /admin/keys/none", { rpm: 1 }, 404, /there is no key 'none'/],
      ["PATCH /admin/keys/none", { version: "1" }, 400, /version must be/],
      ["DELETE /admin/keys/none", undefined, 404, /there is no key 'none'/],
      ["POST /admin/keys/none/rotate", { overlap: "5x" }, 400, /^overlap must be a duration/],
      ["POST /admin/keys/none/rotate", { overlap: -1 }, 400, /0 to 90 days/],
      ["POST /admin/keys/none/rotate", { often: 1 }, 400, /'often' is unknown/],
      ["POST /admin/tenants", { name: 5 }, 400, /a tenant needs a name/],
      ["POST /admin/tenants", { name: "Lab" }, 400, /a-z/],
      ["GET /admin/tenants/none", undefined, 404, /there is no tenant 'none'/],
    ];
  for (const [line, body, status, says] of mistakes) {
    it(`answers ${line} with ${JSON.stringify(body)} by ${status}`, async (t) => {
      const ask = await open(t);
      const told = await ask(line, body);
      assert.equal(told.status, status, JSON.stringify(told.body));
      assert.match(text(told.body["error"]), says);
      assert.deepEqual(await rig.stores.audit.latest({ count: 1 }), []);
    });
  }

  it("refuses all of it without an admin key, and the audit log says so", async (t) => {
    const ask = await open(t);
    await ask("POST /admin/keys", { name: "alice" });
    const lines = [
      "GET /admin/keys",
      "POST /admin/keys",
      "PATCH /admin/keys/alice",
      "DELETE /admin/keys/alice",
    ];
    lines.push("POST /admin/keys/alice/rotate", "GET /admin/tenants", "GET /admin/audit");
    for (const line of lines) {
      const body = /GET|DELETE/.test(line) ? undefined : { name: "eve" };
      assert.equal((await ask(line, body, "user")).status, 403, line);
    }
    const all = await until("their entries", async () => {
      const found = await audited();
      return found.length === lines.length + 1 && found;
    });
    assert.ok(all.includes("env-1 keys.revoke  refused"), all.join("\n"));
    assert.deepEqual(namesIn(await ask("GET /admin/keys"), "keys"), ["alice"]);
    assert.equal((await ask("GET /admin/keys/alice")).body["disabled"], undefined);
  });

  it("says so when no admin key is left", async (t) => {
    const ask = await open(t, "");
    await ask("POST /admin/keys", { name: "one", role: "admin" });
    await ask("POST /admin/keys", { name: "two", role: "admin" });
    await ask("POST /admin/keys", { name: "alice" });
    assert.equal((await ask("DELETE /admin/keys/one")).body["warning"], undefined);
    assert.equal((await ask("DELETE /admin/keys/alice")).body["warning"], undefined);
    assert.match(
      text((await ask("PATCH /admin/keys/two", { role: "client" })).body["warning"]),
      /No admin key/,
    );
    await ask("PATCH /admin/keys/two", { role: "admin" });
    assert.match(text((await ask("DELETE /admin/keys/two")).body["warning"]), /No admin key is left/);
  });
});
