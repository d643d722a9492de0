import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connect.ts";
import type { Connection } from "../../src/redis/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { heldTasks } from "../../src/redis/open-task.ts";
import { HANDED_BACK_MS, pendingEntry } from "../../src/redis/pending.ts";
import type { PendingEntry } from "../../src/redis/pending.ts";
import { take } from "../../src/redis/take.ts";
import { enqueue, ensureGroup, handBack, silentTasks, takeOver } from "../../src/redis/task-stream.ts";
import { until } from "../journey/until.ts";
import { BareServer } from "./bare-server.ts";
import { movesOf } from "./many.ts";
import { fallSilent } from "./silence.ts";

const keys = new Keys("test");
const model = "m";
const YEAR_MS = 365 * 86_400_000;

async function handedBack(by: Connection): Promise<PendingEntry[]> {
  return silentTasks(by, keys, { model, idleMs: HANDED_BACK_MS });
}

describe("a task that was handed back", () => {
  const dir = mkdtempSync(join(tmpdir(), "sgnet-pending-"));
  const open: Connection[] = [];
  let server: BareServer;
  let connection: Connection;
  let back: PendingEntry;
  let silent: string;

  const opened = async ({ url }: BareServer): Promise<Connection> => {
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
    server = await BareServer.start({ dir: join(dir, "master"), args: durable });
    connection = await opened(server);
    await ensureGroup(connection, keys, model);
    const entry = await enqueue(connection, keys, model, Buffer.from("back"));
    silent = await enqueue(connection, keys, model, Buffer.from("silent"));
    const claims = { models: [model], consumer: "w", credits: 9, waitMs: 5 };
    assert.equal((await take(await opened(server), keys, claims)).length, 2);
    await fallSilent(connection, keys, { model, entry: silent, consumer: "w", idleMs: 20 * YEAR_MS });
    assert.equal(await handBack(connection, keys, { model, entry, consumer: "w" }), true);
    back = { entry, worker: "w", idleMs: 0, deliveries: 1, handedBack: true };
  });
  after(async () => {
    for (const one of open) one.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it("is told from one whose worker is silent, however long, and has no age", async () => {
    assert.deepEqual(await handedBack(connection), [back]);
    assert.deepEqual(await pendingEntry(connection, keys.queue(model), back.entry), back);
    const lost = await pendingEntry(connection, keys.queue(model), silent);
    assert.equal(lost?.handedBack, false);
    assert.ok(lost.idleMs >= 20 * YEAR_MS);
    assert.equal(await pendingEntry(connection, keys.queue(model), "5-0"), undefined);
    assert.equal(await pendingEntry(connection, keys.queue("never read"), "5-0"), undefined);
    const held = await heldTasks(connection, keys, [model], 9);
    assert.deepEqual(
      held.map(({ entry }) => entry),
      [silent],
      "it is in nobody's hands",
    );
    assert.equal(
      (await silentTasks(connection, keys, { model, idleMs: 10_000 })).length,
      2,
      "nor is it held",
    );
  });

  it("is so on a replica as well", async (t) => {
    const follow = ["--replicaof", "127.0.0.1", String(server.port), "--repl-diskless-sync-delay", "0"];
    const replica = await BareServer.start({ dir: join(dir, "replica"), args: follow });
    t.after(async () => replica.stop());
    const copy = await opened(replica);
    await until("a copy of it", async () => (await handedBack(copy).catch(() => [])).length === 1);
    // One that comes as a command, not with the first copy.
    await takeOver(connection, keys, { model, consumer: "w", idleMs: HANDED_BACK_MS, entries: [back.entry] });
    await until("its lease there", async () => (await handedBack(copy)).length === 0);
    await handBack(connection, keys, { model, entry: back.entry, consumer: "w", deliveries: 1 });
    await until("its return there", async () => (await handedBack(copy)).length === 1);
  });

  it("is so after a restart: from the append-only file, rewritten or not, and from a snapshot", async () => {
    await restarted();
    assert.deepEqual(await handedBack(connection), [back]);
    for (const preamble of ["no", "yes"]) {
      await connection.command("CONFIG", "SET", "aof-use-rdb-preamble", preamble);
      await connection.command("BGREWRITEAOF");
      const written = async (): Promise<boolean> => {
        const info = String(await connection.command("INFO", "persistence"));
        return /aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0/.test(info);
      };
      await until("a new file", written);
      await restarted();
      assert.deepEqual(await handedBack(connection), [back], `rewritten, preamble ${preamble}`);
    }
  });

  it("is taken by one of several", async () => {
    const claim = { model, idleMs: HANDED_BACK_MS, entries: [back.entry, silent] };
    const taken = await Promise.all(
      ["a", "b"].map(async (consumer) => takeOver(connection, keys, { ...claim, consumer })),
    );
    assert.deepEqual(
      taken.flat().map(({ entry }) => entry),
      [back.entry],
    );
  });
});
