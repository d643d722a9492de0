import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Keys } from "../../src/redis/keys.ts";
import { bury } from "../../src/redis/dead-letters.ts";
import { announceWorker } from "../../src/redis/registry.ts";
import { LIBRARY } from "../../src/redis/scripts.ts";
import { appendSummaries } from "../../src/redis/task-log.ts";
import { enqueue, ensureGroup } from "../../src/redis/task-stream.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { openRedisRig, type RedisRig } from "../redis/rig.ts";
import { newFolder, runCommand } from "./command.ts";

const keys = new Keys("sgnet");
const SECRET = "a prompt";

function payload(id: string): Buffer {
  return encodeTask(
    {
      id,
      requestId: `r-${id}`,
      endpoint: "openai-chat",
      model: "tiny",
      stream: true,
      createdAt: 1,
      deadline: 2,
      trace: "",
      body: Buffer.from(SECRET),
    },
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
    assert.deepEqual(await told(["load-functions"]), { library: LIBRARY, loaded: true });
    assert.deepEqual(await told(["load-functions"]), { library: LIBRARY, loaded: false });
  });

  it("tells requests that are open and that have ended, without their bodies", async () => {
    const { connection } = rig;
    await ensureGroup(connection, keys, "tiny");
    await connection.command("ZADD", keys.models(), "1", "tiny");
    const entry = await enqueue(connection, keys, "tiny", payload("g1.1"));
    const { open, ended } = await told(["trace", "r-g1.1"]);
    assert.deepEqual(ended, []);
    const { task, request, model, entry: at } = open as Record<string, unknown>;
    assert.deepEqual([task, request, model, at], ["g1.1", "r-g1.1", "tiny", entry]);
    const summary = { task: "g1.2", request: "r-g1.2", endpoint: "openai-chat", model: "tiny" };
    const how = { at: 1, code: "ok", status: 200, totalMs: 5 };
    await appendSummaries(connection, keys, [{ ...summary, ...how }]);
    const over = await told(["trace", "r-g1.2"]);
    assert.deepEqual(over, { ended: [{ ...summary, ...how }] });
    const { error } = (await told(["trace", "none"], 1)) as { error: { code: string; message: string } };
    assert.equal(error.code, "failed");
    assert.match(error.message, /^Nothing is known of none/);
  });

  it("tells which workers were told to drain", async () => {
    const process = { version: "0", host: "h", pid: 1, startedAt: 0, seenAt: Date.now() };
    const worker = { ...process, id: "w1", draining: false, backends: [] };
    await announceWorker(rig.connection, keys, worker, false);
    for (const verb of ["drain", "undrain"]) {
      assert.deepEqual(await told([verb, "h"]), { verb, workers: [{ id: "w1", host: "h" }] });
    }
  });

  it("tells what became of dead letters", async () => {
    const fault = { code: "delivery_limit", message: "no worker answered", http: 502 } as const;
    const how = { model: "tiny", payload: payload("g1.3"), fault, deliveries: 3, worker: "w1" };
    await bury(rig.connection, keys, how);
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
