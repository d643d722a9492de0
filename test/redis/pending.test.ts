import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { REQUEUED_MS } from "../../src/redis/pending.ts";
import type { PendingEntry } from "../../src/redis/pending.ts";
import { OpenTasks } from "../../src/redis/inspect/open-tasks.ts";
import { openStores } from "../../src/redis/stores.ts";
import { until } from "../rig/until.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { movesOf } from "../rig/redis/suite-servers.ts";
import { fallSilent } from "../rig/redis/silence.ts";

const keys = new Keys("test");
const model = "m";
const YEAR_MS = 365 * 86_400_000;

async function requeuedBy(by: Connection): Promise<PendingEntry[]> {
  return openStores(by, keys).leases.silent({ model, idleMs: REQUEUED_MS });
}

describe("a task that was requeued", () => {
  const dir = mkdtempSync(join(tmpdir(), "sgnet-pending-"));
  const open: Connection[] = [];
  let server: RedisServer;
  let connection: Connection;
  let back: PendingEntry;
  let silent: string;

  const opened = async ({ url }: RedisServer): Promise<Connection> => {
    const one = await connect(url, "test");
    open.push(one);
    return one;
  };

  const restarted = async (): Promise<void> => {
    const moves = movesOf(connection);
    await server.kill();
    await server.startAgain();
    await until("its return", () => moves.length > 0);
  };

  before(async () => {
    const durable = ["--appendonly", "yes", "--appendfsync", "always"];
    server = await RedisServer.start({ dir: join(dir, "master"), args: durable });
    connection = await opened(server);
    await openStores(connection, keys).queue.ensureGroup(model);
    const entry = await openStores(connection, keys).queue.add(model, Buffer.from("back"));
    silent = await openStores(connection, keys).queue.add(model, Buffer.from("silent"));
    const claims = { models: [model], consumer: "w", credits: 9, waitMs: 5 };
    assert.equal((await openStores(await opened(server), keys).consumer.take(claims)).length, 2);
    await fallSilent(connection, keys, { model, entry: silent, consumer: "w", idleMs: 20 * YEAR_MS });
    assert.equal(await openStores(connection, keys).leases.requeue({ model, entry, consumer: "w" }), true);
    back = { entry, worker: "w", idleMs: 0, deliveries: 1, requeued: true };
  });
  after(async () => {
    for (const one of open) one.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it("is told from one whose worker is silent, however long, and has no age", async () => {
    assert.deepEqual(await requeuedBy(connection), [back]);
    assert.deepEqual(await openStores(connection, keys).leases.pending(model, back.entry), back);
    const lost = await openStores(connection, keys).leases.pending(model, silent);
    assert.equal(lost?.requeued, false);
    assert.ok(lost.idleMs >= 20 * YEAR_MS);
    assert.equal(await openStores(connection, keys).leases.pending(model, "5-0"), undefined);
    assert.equal(await openStores(connection, keys).leases.pending("never read", "5-0"), undefined);
    const held = await new OpenTasks(connection, keys).held([model], 9);
    assert.deepEqual(
      held.map(({ entry }) => entry),
      [silent],
      "it is in nobody's hands",
    );
    assert.equal(
      (await openStores(connection, keys).leases.silent({ model, idleMs: 10_000 })).length,
      2,
      "nor is it held",
    );
  });

  it("is so on a replica as well", async (t) => {
    const follow = ["--replicaof", "127.0.0.1", String(server.port), "--repl-diskless-sync-delay", "0"];
    const replica = await RedisServer.start({ dir: join(dir, "replica"), args: follow });
    t.after(async () => replica.stop());
    const copy = await opened(replica);
    await until("a copy of it", async () => (await requeuedBy(copy).catch(() => [])).length === 1);
    // One that comes as a command, not with the first copy.
    await openStores(connection, keys).leases.takeOver({
      model,
      consumer: "w",
      idleMs: REQUEUED_MS,
      entries: [back.entry],
    });
    await until("its lease there", async () => (await requeuedBy(copy)).length === 0);
    await openStores(connection, keys).leases.requeue({
      model,
      entry: back.entry,
      consumer: "w",
      deliveries: 1,
    });
    await until("its return there", async () => (await requeuedBy(copy)).length === 1);
  });

  it("is so after a restart: from the append-only file, rewritten or not, and from a snapshot", async () => {
    await restarted();
    assert.deepEqual(await requeuedBy(connection), [back]);
    for (const preamble of ["no", "yes"]) {
      await connection.command("CONFIG", "SET", "aof-use-rdb-preamble", preamble);
      await connection.command("BGREWRITEAOF");
      const written = async (): Promise<boolean> => {
        const info = String(await connection.command("INFO", "persistence"));
        return /aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(info);
      };
      await until("a new file", written);
      await restarted();
      assert.deepEqual(await requeuedBy(connection), [back], `rewritten, preamble ${preamble}`);
    }
  });

  it("is taken by one of several", async () => {
    const claim = { model, idleMs: REQUEUED_MS, entries: [back.entry, silent] };
    const taken = await Promise.all(
      ["a", "b"].map(async (consumer) =>
        openStores(connection, keys).leases.takeOver({ ...claim, consumer }),
      ),
    );
    assert.deepEqual(
      taken.flat().map(({ entry }) => entry),
      [back.entry],
    );
  });
});
