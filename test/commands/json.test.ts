import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Keys } from "../../src/redis/keys.ts";
import { FUNCTION_LIBRARY } from "../../src/redis/scripts.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { SummaryLog } from "../../src/redis/inspect/summary-log.ts";
import { openStores } from "../../src/redis/stores.ts";
import { newFolder, runCommand } from "../rig/command.ts";
import { aTask } from "../rig/task.ts";
import { leaveUnreadable } from "../rig/dead-letter.ts";

const keys = new Keys("sgnet");
const SECRET = "a prompt";

function payload(id: string): Buffer {
  return encodeTask(
    aTask({
      id,
      requestId: `r-${id}`,
      createdAt: 1,
      deadline: 2,
      body: Buffer.from(SECRET),
    }),
    true,
  );
}

describe("what commands print with --json", () => {
  const folder = newFolder();
  let rig: RedisRig;
  before(async () => {
    rig = await openRedisRig();
  });
  after(async () => {
    await rig.close();
    folder.remove();
  });

  /** Runs a command; resolves with the one document that it printed. */
  const told = async (args: readonly string[], code = 0): Promise<Record<string, unknown>> => {
    const env = { REDIS_URL: rig.server.url, PORT: "0" };
    const ran = await runCommand([...args, "--json"], { cwd: folder.path, env });
    assert.equal(ran.code, code, ran.stderr);
    assert.ok(!ran.stdout.includes(SECRET), "no prompt");
    return JSON.parse(ran.stdout) as Record<string, unknown>;
  };

  it("is one document of status, top, doctor and load-functions", async () => {
    assert.deepEqual(Object.keys(await told(["status"])), ["gateways", "workers", "models"]);
    assert.deepEqual(Object.keys(await told(["top"])), ["fleet", "faults", "held", "rates", "now"]);
    const doctor = (await told(["doctor"], 1)) as { ok: boolean; findings: { ok: boolean; about: string }[] };
    assert.equal(doctor.ok, false);
    assert.ok(doctor.findings.some(({ ok, about }) => ok && about === "node"));
    assert.deepEqual(await told(["load-functions"]), { library: FUNCTION_LIBRARY, loaded: true });
    assert.deepEqual(await told(["load-functions"]), { library: FUNCTION_LIBRARY, loaded: false });
  });

  it("tells requests that are open and that have ended, without their bodies", async () => {
    const { connection } = rig;
    await openStores(connection, keys).queue.ensureGroup("tiny");
    await connection.command("ZADD", keys.models(), "1", "tiny");
    const entry = await openStores(connection, keys).queue.add("tiny", payload("g1.1"));
    const { open, ended } = await told(["trace", "r-g1.1"]);
    assert.deepEqual(ended, []);
    const { task, request, model, entry: at } = open as Record<string, unknown>;
    assert.deepEqual([task, request, model, at], ["g1.1", "r-g1.1", "tiny", entry]);
    await openStores(connection, keys).queue.claim({ model: "tiny", consumer: "w1", count: 1 });
    const { hold } = (await told(["trace", "g1.1"]))["open"] as { hold: object };
    assert.deepEqual(Object.keys(hold).toSorted(), ["deliveries", "entry", "handedBack", "idleMs", "worker"]);
    const summary = { task: "g1.2", request: "r-g1.2", endpoint: "openai-chat", model: "tiny" };
    const how = { at: 1, code: "ok", status: 200, totalMs: 5 };
    await new SummaryLog(connection, keys).append([{ ...summary, ...how }]);
    const over = await told(["trace", "r-g1.2"]);
    assert.deepEqual(over, { ended: [{ ...summary, ...how }] });
    const { error } = (await told(["trace", "none"], 1)) as { error: { code: string; message: string } };
    assert.equal(error.code, "failed");
    assert.match(error.message, /^Nothing is known of none/);
  });

  it("tells which workers were told to drain", async () => {
    const process = { version: "0", host: "h", pid: 1, startedAt: 0, seenAt: Date.now() };
    const worker = { ...process, id: "w1", draining: false, backends: [] };
    await openStores(rig.connection, keys).registry.announceWorker(worker, false);
    for (const verb of ["drain", "undrain"]) {
      assert.deepEqual(await told([verb, "h"]), { verb, workers: [{ id: "w1", host: "h" }] });
    }
  });

  it("tells what became of dead letters", async () => {
    await leaveUnreadable(rig.connection, keys, "tiny", payload("g1.3"));
    const retried = (await told(["dead", "retry", "--all"], 1)) as { letters: { says: string }[] };
    assert.deepEqual(
      { ...retried, letters: retried.letters.map(({ says }) => says) },
      {
        of: 1,
        answered: 0,
        letters: ["no worker offers this model now"],
      },
    );
    assert.deepEqual(await told(["dead", "drop", "r-g1.3"]), { dropped: 1 });
    assert.deepEqual(await told(["dead"]), []);
  });
});
