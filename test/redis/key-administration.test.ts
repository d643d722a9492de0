import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";
import { hasSecretForm } from "../../src/core/access/key-secret.ts";
import type { Fault } from "../../src/core/fault.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";

const NOW = Date.UTC(2026, 10, 30);
const DAY_MS = 86_400_000;

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function fails(code: string, message = /./): (error: Fault) => boolean {
  return (error) => error.code === code && message.test(error.message);
}

describe("the administration of keys", () => {
  let rig: RedisRig;
  let admin: KeyAdministration;
  before(async () => {
    rig = await openRedisRig();
    admin = new KeyAdministration(rig.stores.access, () => NOW);
  });
  after(() => rig.close());
  afterEach(async () => {
    await rig.connection.command("FLUSHDB");
  });

  it("creates a key, and keeps only the digest of its secret", async () => {
    const { key, secret, version } = await admin.create({ name: "alice", rpm: 60, models: ["qwen3:*"] });
    assert.ok(hasSecretForm(secret), secret);
    assert.match(key.id, /^k[a-z0-9]{10}$/);
    assert.deepEqual(key, {
      id: key.id,
      tenant: key.id,
      role: "client",
      models: ["qwen3:*"],
      created: NOW,
      digest: sha256(secret),
      hint: secret.slice(-4),
      name: "alice",
      rpm: 60,
    });
    assert.deepEqual(await admin.key("alice"), { version, key });
    assert.deepEqual(await admin.key(key.id), { version, key });
    const stored = String(await rig.connection.command("HGET", rig.keys.accessRecords(), key.id));
    assert.equal(stored.includes(secret), false);
    assert.equal("tenant" in (JSON.parse(stored) as object), false);
  });

  it("changes members, and removes those that are null", async () => {
    const { key, version } = await admin.create({ name: "alice", rpm: 60, expires: NOW + 1, models: ["a"] });
    const stored = await admin.set("alice", {
      rpm: null,
      expires: null,
      models: null,
      maxOpen: 3,
      name: "bob",
    });
    const { rpm: _rpm, expires: _expires, ...rest } = key;
    assert.deepEqual(stored.key, { ...rest, models: ["*"], maxOpen: 3, name: "bob" });
    assert.ok(stored.version > version);
    await assert.rejects(admin.key("alice"), fails("record_not_found", /no key 'alice'/));
    assert.equal((await admin.key("bob")).key.id, key.id);
    await admin.create({ name: "alice" });
  });

  it("rotates a secret: the former one works until a time, or no longer", async () => {
    const first = await admin.create({ name: "alice" });
    const second = await admin.rotate("alice", DAY_MS);
    assert.notEqual(second.secret, first.secret);
    assert.equal(second.key.digest, sha256(second.secret));
    assert.equal(second.key.hint, second.secret.slice(-4));
    assert.deepEqual(second.key.former, { digest: sha256(first.secret), until: NOW + DAY_MS });
    const third = await admin.rotate("alice", 0);
    assert.equal(third.key.former, undefined);
    for (const overlap of [-1, 0.5, 91 * DAY_MS, Number.NaN]) {
      await assert.rejects(admin.rotate("alice", overlap), fails("invalid_request", /0 to 90 days/));
    }
  });

  it("revokes a key: its name is free, it cannot be changed, and doing it again changes nothing", async () => {
    const { key } = await admin.create({ name: "alice" });
    const revoked = await admin.revoke("alice");
    assert.equal(revoked.key.disabled, NOW);
    assert.deepEqual(await admin.revoke(key.id), revoked);
    await assert.rejects(admin.key("alice"), fails("record_not_found"));
    await assert.rejects(admin.set(key.id, { rpm: 1 }), fails("conflict", /is revoked/));
    await assert.rejects(admin.rotate(key.id, 0), fails("conflict", /is revoked/));
    await admin.create({ name: "alice" });
    const names = (await admin.keys()).map(({ key: { name, disabled } }) => [name, disabled]);
    assert.deepEqual(names, [
      ["alice", undefined],
      ["alice", NOW],
    ]);
  });

  it("gives a name to one key, also when many ask at once", async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => admin.create({ name: "a" })));
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    assert.equal(refused.length, 19);
    for (const { reason } of refused) assert.ok(fails("conflict", /key 'a' already/)(reason as Fault));
    await admin.create({ name: "b" });
    await assert.rejects(admin.set("b", { name: "a" }), fails("conflict", /key 'a' already/));
  });

  it("loses no change of many at the same time", async () => {
    await admin.create({ name: "a" });
    await Promise.all([
      admin.set("a", { rpm: 1 }),
      admin.set("a", { itpm: 2 }),
      admin.set("a", { otpm: 3 }),
      admin.set("a", { maxOpen: 4 }),
    ]);
    const { rpm, itpm, otpm, maxOpen } = (await admin.key("a")).key;
    assert.deepEqual({ rpm, itpm, otpm, maxOpen }, { rpm: 1, itpm: 2, otpm: 3, maxOpen: 4 });
  });

  it("refuses a change of a version that is no longer the latest", async () => {
    const { version } = await admin.create({ name: "a" });
    await admin.set("a", { rpm: 1 }, version);
    await assert.rejects(admin.set("a", { rpm: 2 }, version), fails("conflict", /changed in the meantime/));
    await assert.rejects(admin.revoke("a", version), fails("conflict"));
    await assert.rejects(admin.rotate("a", 0, version), fails("conflict"));
  });

  for (const [problem, fields] of [
    [/needs a name/, {}],
    [/^name must have/, { name: "" }],
    [/^name must have/, { name: "x".repeat(65) }],
    [/^name must have/, { name: "a\nb" }],
    [/reserved/, { name: "kabcdefghij" }],
    [/reserved/, { name: "env-admin-1" }],
    [/^name cannot be removed/, { name: null }],
    [/^tenant must have/, { name: "a", tenant: "A b" }],
    [/'env' is reserved/, { name: "a", tenant: "env" }],
    [/^role must be one of/, { name: "a", role: "root" }],
    [/^models must be/, { name: "a", models: [] }],
    [/^models must be/, { name: "a", models: "qwen3" }],
    [/^class must be one of/, { name: "a", class: "slow" }],
    [/^rpm must be a whole number/, { name: "a", rpm: 0 }],
    [/^rpm must be a whole number/, { name: "a", rpm: "60" }],
    [/^budgetDay must be a whole number/, { name: "a", budgetDay: 1.5 }],
    [/^expires must lie in the future/, { name: "a", expires: NOW }],
    [/^expires must be a time/, { name: "a", expires: "soon" }],
    [/^weight must be a whole number/, { name: "a", weight: 1001 }],
    [/'digest' cannot be set/, { name: "a", digest: "0".repeat(64) }],
    [/'__proto__' cannot be set/, JSON.parse(`{"name":"a","__proto__":{}}`)],
    [/running caps need the fair queue, which this version does not have/, { name: "a", maxRunning: 1 }],
  ] as const) {
    it(`refuses a key of ${JSON.stringify(fields)}`, async () => {
      await assert.rejects(admin.create(fields), fails("invalid_request", problem));
      assert.deepEqual(await admin.keys(), []);
    });
  }

  it("creates, changes and removes tenants", async () => {
    const { tenant } = await admin.createTenant("lab", { weight: 3, itpm: 1000 });
    assert.deepEqual(tenant, { name: "lab", created: NOW, weight: 3, itpm: 1000 });
    await assert.rejects(admin.createTenant("lab", {}), fails("conflict", /tenant 'lab' already/));
    await admin.create({ name: "alice", tenant: "lab", weight: 5 });
    assert.equal((await admin.tenant("lab")).tenant.weight, 5);
    await admin.setTenant("lab", { itpm: null, queueShare: 0.25 });
    assert.deepEqual((await admin.tenant("lab")).tenant, {
      name: "lab",
      created: NOW,
      weight: 5,
      queueShare: 0.25,
    });
    await assert.rejects(admin.removeTenant("lab"), fails("conflict", /has keys/));
    await admin.revoke("alice");
    await admin.removeTenant("lab");
    await assert.rejects(admin.tenant("lab"), fails("record_not_found"));
    await assert.rejects(admin.setTenant("lab", {}), fails("record_not_found"));
    assert.deepEqual(await admin.tenants(), []);
    await admin.createTenant("lab", {});
    assert.deepEqual((await admin.tenants()).length, 1);
    await assert.rejects(admin.createTenant("env", {}), fails("invalid_request", /reserved/));
    await assert.rejects(admin.createTenant("A", {}), fails("invalid_request", /a-z/));
  });

  it("serves requests without a key again only when that is asked for", async () => {
    assert.equal(await admin.allowsAnonymous(), true);
    await admin.create({ name: "watcher", role: "observer" });
    await admin.create({ name: "root", role: "admin" });
    assert.equal(await admin.allowsAnonymous(), true);
    await admin.create({ name: "alice" });
    assert.equal(await admin.allowsAnonymous(), false);
    await assert.rejects(admin.allowAnonymous(), fails("conflict", /a client key works/));
    await admin.revoke("alice");
    assert.equal(await admin.allowsAnonymous(), false);
    await admin.allowAnonymous();
    assert.equal(await admin.allowsAnonymous(), true);
    await admin.set("watcher", { role: "client" });
    assert.equal(await admin.allowsAnonymous(), false);
    await admin.revoke("watcher");
    assert.equal(await admin.allowsAnonymous(), false);
  });
});
