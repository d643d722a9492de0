/**
 * `make bench-depth`: does a long queue slow its head? Fills a queue through the gateway's own verb, then claims and
 * acknowledges from its head as a worker does, while as many are queued at its end. Needs `redis-server`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { startRedis } from "../src/admin/redis-child.ts";
import { Histogram } from "../src/core/duration-histogram.ts";
import { connect } from "../src/redis/connect.ts";
import type { Connection } from "../src/redis/connection.ts";
import { Keys } from "../src/redis/keys.ts";
import { take } from "../src/redis/take.ts";
import { acknowledge, enqueue, ensureGroup, ring } from "../src/redis/task-stream.ts";
import { encodeTask } from "../src/wire/task-codec.ts";
import { alignTable } from "./report.ts";

const MODEL = "deep";
const CONSUMER = "w0123456789ab";
const CREDITS = 16;
const CLAIMS = 500;
const BODY = Buffer.from(
  JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "x".repeat(900) }] }),
);
const DEPTHS = [0, 1000, 10_000, 100_000];

interface Place {
  readonly connection: Connection;
  readonly claims: Connection;
  readonly keys: Keys;
}

function record(n: number): Buffer {
  const base = {
    endpoint: "ollama-chat",
    model: MODEL,
    stream: true,
    requestId: `r${n}`,
    trace: "",
  } as const;
  const task = { ...base, id: `g0123456789ab.${n}`, createdAt: 1, deadline: 9e15, body: BODY };
  return encodeTask(task, true);
}

async function fill({ connection, keys }: Place, count: number): Promise<void> {
  const chunk = 1000;
  for (let done = 0; done < count; done += chunk) {
    const size = Math.min(chunk, count - done);
    const entries = Array.from({ length: size }, async (_, n) => enqueue(connection, keys, MODEL, record(n)));
    await Promise.all([...entries, ring(connection, keys, MODEL, size)]);
  }
}

/** Times from the look to the tasks in hand, and of the acknowledgement, each of `CREDITS` tasks. */
async function claimAll(
  place: Place,
): Promise<{ readonly claimed: Histogram; readonly acknowledged: Histogram }> {
  const [claimed, acknowledged] = [new Histogram(), new Histogram()];
  for (let count = 0; count < CLAIMS; count += 1) {
    await fill(place, CREDITS);
    const begin = performance.now();
    const order = { models: [MODEL], consumer: CONSUMER, credits: CREDITS, waitMs: 1000 };
    const tasks = await take(place.claims, place.keys, order);
    claimed.record((performance.now() - begin) * 1000);
    const from = performance.now();
    await acknowledge(
      place.connection,
      place.keys,
      MODEL,
      tasks.map(({ entry }) => entry),
    );
    acknowledged.record((performance.now() - from) * 1000);
  }
  return { claimed, acknowledged };
}

async function measure(place: Place): Promise<string[][]> {
  const rows: string[][] = [];
  let depth = 0;
  await ensureGroup(place.connection, place.keys, MODEL);
  await claimAll(place); // so that no code is cold
  for (const wanted of DEPTHS) {
    await fill(place, wanted - depth);
    depth = wanted;
    const { claimed, acknowledged } = await claimAll(place);
    const cells = [claimed, acknowledged].map((times) => `${times.quantile(0.5)}, ${times.quantile(0.99)}`);
    rows.push([wanted.toLocaleString("en"), ...cells]);
  }
  return rows;
}

const dir = mkdtempSync(path.join(os.tmpdir(), "sgnet-depth-"));
const server = await startRedis({ dir, port: 0, persistent: false });
const [connection, claims] = await Promise.all([connect(server.url, "bench"), connect(server.url, "bench")]);
try {
  const rows = await measure({ connection, claims, keys: new Keys("bench") });
  const head = ["queued", `claim of ${CREDITS}, µs: p50, p99`, `acknowledgement of ${CREDITS}, µs: p50, p99`];
  console.log(alignTable([head, ...rows]));
} finally {
  connection.close();
  claims.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}
