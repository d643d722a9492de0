import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, afterEach, before, describe, it } from "node:test";
import type { TestContext } from "node:test";
import { KeyDirectory } from "../../src/gateway/access/key-directory.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import type { AccessRecords } from "../../src/redis/access/access-records.ts";
import { openStores } from "../../src/redis/stores.ts";
import { openRedisRig } from "../rig/redis/redis-rig.ts";
import type { RedisRig } from "../rig/redis/redis-rig.ts";
import { until } from "../rig/until.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function sha256(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** A gateway's directory whose looks a test makes by itself, and whose clock it sets. */
class Watcher {
  readonly warnings: string[] = [];
  readonly directory: KeyDirectory;
  /** Ms that its clocks are ahead. */
  ahead = 0;

  constructor(records: AccessRecords) {
    this.directory = new KeyDirectory({
      records,
      ambient: { now: () => Date.now() + this.ahead, mono: () => performance.now() + this.ahead },
      log: { warn: (message) => void this.warnings.push(message) },
    });
  }

  async look(): Promise<void> {
    await this.directory.look();
  }

  knows(secret: string): boolean {
    return this.directory.find(sha256(secret)) !== undefined;
  }
}

describe("a directory of keys", () => {
  let rig: RedisRig;
  let admin: KeyAdministration;
  before(async () => {
    rig = await openRedisRig();
    admin = new KeyAdministration(rig.stores.access, Date.now);
  });
  after(() => rig.close());
  afterEach(async () => {
    await rig.connection.command("FLUSHALL");
  });

  const watcher = async (): Promise<Watcher> => {
    const one = new Watcher(rig.stores.access);
    await one.look();
    return one;
  };
  const emptied = async (): Promise<void> => {
    await rig.connection.command("FLUSHALL");
  };
  const versionOf = async (id: string): Promise<number> => (await rig.stores.access.read(id))?.version ?? 0;

  it("knows no key and serves everyone while there are no records", async () => {
    const one = await watcher();
    assert.deepEqual([one.directory.isEmpty, one.directory.hasClients], [true, false]);
    assert.equal(one.knows("sg-x"), false);
  });

  it("follows each change: a key, its tenant, a rotation, and its end", async () => {
    const one = await watcher();
    const { secret, key } = await admin.create({ name: "alice", tenant: "lab" });
    assert.equal(one.knows(secret), false);
    await one.look();
    assert.deepEqual(one.directory.find(sha256(secret)), { role: "client", key });
    assert.equal(one.directory.hasClients, true);
    const { tenant } = await admin.createTenant("lab", { rpm: 5 });
    await one.look();
    assert.deepEqual(one.directory.find(sha256(secret)), { role: "client", key, tenant });
    const next = await admin.rotate("alice", HOUR_MS);
    await one.look();
    assert.deepEqual([one.knows(secret), one.knows(next.secret)], [true, true]);
    one.ahead = HOUR_MS + 1000;
    assert.deepEqual([one.knows(secret), one.knows(next.secret)], [false, true]);
    await admin.removeTenant("lab").catch(() => undefined);
    await admin.set("alice", { expires: Date.now() + 2 * HOUR_MS });
    await one.look();
    assert.equal(one.knows(next.secret), true);
    one.ahead = 2 * HOUR_MS + 1000;
    assert.equal(one.knows(next.secret), false);
    one.ahead = 0;
    await admin.revoke("alice");
    await one.look();
    assert.equal(one.knows(next.secret), false);
    assert.equal(one.directory.hasClients, true, "the last revoked key opens no door");
    await admin.allowAnonymous();
    await one.look();
    assert.deepEqual([one.directory.isEmpty, one.directory.hasClients], [true, false]);
  });

  it("serves requests without a key while only admins and observers have records", async () => {
    const root = await admin.create({ name: "root", role: "admin" });
    await admin.create({ name: "watcher", role: "observer" });
    const one = await watcher();
    assert.deepEqual([one.directory.isEmpty, one.directory.hasClients], [false, false]);
    assert.equal(one.directory.find(sha256(root.secret))?.role, "admin");
  });

  it("keeps what it knows when Redis was emptied, and writes it back with its versions", async () => {
    const [alice, bob] = [await admin.create({ name: "alice" }), await admin.create({ name: "bob" })];
    await admin.createTenant("lab", { weight: 3 });
    await admin.revoke("bob");
    const one = await watcher();
    const revoked = (await admin.key(bob.key.id)).version;
    await emptied();
    await one.look();
    assert.deepEqual([one.knows(alice.secret), one.knows(bob.secret)], [true, false]);
    assert.equal(one.directory.hasClients, true);
    assert.deepEqual(await admin.key("alice"), { version: alice.version, key: alice.key });
    assert.equal((await admin.key(bob.key.id)).version, revoked);
    assert.equal((await admin.tenant("lab")).tenant.weight, 3);
    assert.equal(await admin.allowsAnonymous(), false);
    assert.equal(one.warnings.length, 1);
    await assert.rejects(admin.create({ name: "alice" }), { code: "conflict" });
    const later = await admin.create({ name: "carol" });
    assert.ok(later.version > revoked);
    await one.look();
    assert.equal(one.knows(later.secret), true);
  });

  it("writes nothing twice: one of several gateways does it", async () => {
    await admin.create({ name: "alice" });
    const all = [await watcher(), await watcher(), await watcher(), await watcher()];
    await emptied();
    await Promise.all(all.map((one) => one.look()));
    assert.equal(all.flatMap(({ warnings }) => warnings).length, 1);
  });

  it("keeps the old keys when a new one was created before any gateway looked", async () => {
    const alice = await admin.create({ name: "alice" });
    const one = await watcher();
    await emptied();
    const bob = await admin.create({ name: "bob" });
    await one.look();
    assert.deepEqual([one.knows(alice.secret), one.knows(bob.secret)], [true, true]);
    assert.deepEqual(
      (await admin.keys()).map(({ key }) => key.name),
      ["alice", "bob"],
    );
  });

  it("never overwrites a later record by an earlier one", async () => {
    const first = await admin.create({ name: "alice" });
    const late = await watcher();
    const second = await admin.rotate("alice", 0);
    const early = await watcher();
    await emptied();
    await late.look();
    assert.equal((await versionOf(first.key.id)) < second.version, true);
    await early.look();
    await late.look();
    assert.equal(await versionOf(first.key.id), second.version);
    for (const one of [late, early]) {
      assert.deepEqual([one.knows(first.secret), one.knows(second.secret)], [false, true]);
    }
  });

  it("repairs a failover that lost the last writes, also at a gateway that started since", async () => {
    const { connection, keys } = rig;
    const alice = await admin.create({ name: "alice" });
    const bob = await admin.create({ name: "bob" });
    const copies = await Promise.all(
      [keys.accessRecords(), keys.accessVersions(), keys.accessNames()].map(
        async (key) => [key, (await connection.command("DUMP", key)) as Buffer] as const,
      ),
    );
    const revoked = await admin.revoke("alice");
    const one = await watcher();
    for (const [key, copy] of copies) await connection.command("RESTORE", key, "0", copy, "REPLACE");
    const other = await watcher();
    assert.equal(other.knows(alice.secret), true, "the new master has lost that");
    const carol = await admin.create({ name: "carol" });
    await other.look();
    const dave = await admin.create({ name: "dave" });
    await connection.command("ZADD", keys.accessVersions(), String(revoked.version - 1), "");
    await one.look();
    await other.look();
    for (const each of [one, other]) {
      assert.equal(each.knows(alice.secret), false);
      for (const { secret } of [bob, carol, dave]) assert.equal(each.knows(secret), true);
    }
  });

  it("believes Redis when it has not looked for half a day", async () => {
    const alice = await admin.create({ name: "alice" });
    const one = await watcher();
    await emptied();
    const bob = await admin.create({ name: "bob" });
    one.ahead = DAY_MS / 2 + 1000;
    await one.look();
    assert.deepEqual([one.knows(alice.secret), one.knows(bob.secret)], [false, true]);
    assert.deepEqual(
      (await admin.keys()).map(({ key }) => key.name),
      ["bob"],
    );
  });

  it("writes all back into an empty Redis, however long it has not looked", async () => {
    const alice = await admin.create({ name: "alice" });
    const one = await watcher();
    await emptied();
    one.ahead = 30 * DAY_MS;
    await one.look();
    assert.equal(one.knows(alice.secret), true);
    assert.equal((await admin.key("alice")).version, alice.version);
  });

  it("removes a revoked record a day later, not before by Redis's clock, and the door stays closed", async () => {
    const { connection, keys } = rig;
    const { key } = await admin.create({ name: "alice" });
    const [one, other] = [await watcher(), await watcher()];
    await admin.revoke("alice");
    one.ahead = DAY_MS + 2 * HOUR_MS;
    await one.look();
    await connection.command("DEL", keys.accessNames());
    const early = await rig.stores.access.write({ id: key.id, expected: await versionOf(key.id), json: "" });
    assert.equal(early, "outdated");
    const dayAgo = (await versionOf(key.id)) - (DAY_MS + HOUR_MS) * 1000;
    await connection.command("ZADD", keys.accessVersions(), String(dayAgo), key.id);
    const fresh = new Watcher(rig.stores.access);
    fresh.ahead = DAY_MS + 2 * HOUR_MS;
    await fresh.look();
    assert.equal(await versionOf(key.id), 0);
    assert.equal(fresh.directory.hasClients, true);
    other.ahead = DAY_MS + HOUR_MS;
    await other.look();
    assert.equal(await connection.command("HEXISTS", keys.accessRecords(), key.id), 0);
    assert.equal(other.directory.hasClients, true);
  });

  it("ignores a malformed record with one warning, and it opens no door", async () => {
    const { connection, keys } = rig;
    const { key, secret } = await admin.create({ name: "alice", tenant: "lab" });
    await admin.createTenant("lab", {});
    const write = async (id: string, json: string): Promise<void> => {
      const outcome = await rig.stores.access.write({ id, expected: await versionOf(id), json });
      assert.equal(typeof outcome, "number");
    };
    const one = await watcher();
    await write("t:lab", `{"name":"lab","created":1,"rpm":"many"}`);
    await write("anonymous", "null");
    await write("x:later", "?");
    await one.look();
    assert.equal(one.knows(secret), false, "the bounds of its tenant are unknown");
    await write(key.id, "{");
    await one.look();
    await one.look();
    assert.equal(one.directory.hasClients, true);
    assert.equal(one.warnings.length, 3);
    await emptied();
    await one.look();
    assert.equal(String(await connection.command("HGET", keys.accessRecords(), "x:later")), "?");
  });

  it("stays as it is while its records are of another type, and does not start then", async (t) => {
    const { connection, keys } = rig;
    const { secret } = await admin.create({ name: "alice" });
    const one = await watcher();
    await connection.command("DEL", keys.accessVersions());
    await connection.command("SET", keys.accessVersions(), "x");
    await assert.rejects(one.look());
    assert.equal(one.knows(secret), true);
    await assert.rejects(started(t, rig));
  });

  it("looks at once after a message, and by itself when none comes", async (t) => {
    const one = await started(t, rig);
    const { secret } = await admin.create({ name: "alice" });
    await until("the new key", () => one.knows(secret));
    // The mocked clearInterval would not end a timer of before.
    one.directory.stop();
    t.mock.timers.enable({ apis: ["setInterval"] });
    const silent = await started(t, rig, { onNudge: () => Promise.resolve() });
    await admin.revoke("alice");
    assert.equal(silent.knows(secret), true);
    t.mock.timers.tick(3000);
    await until("the end of the key", () => !silent.knows(secret));
  });
});

/** A directory that follows changes by itself. */
async function started(
  t: TestContext,
  rig: RedisRig,
  channel?: Pick<AccessRecords, "onNudge">,
): Promise<Watcher> {
  const one = new Watcher(rig.stores.access);
  t.after(() => {
    one.directory.stop();
  });
  const listening = channel ?? openStores(await rig.connect(), rig.keys).access;
  await one.directory.start(listening, rig.connection);
  return one;
}
