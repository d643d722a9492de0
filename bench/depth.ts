/**
 * `make bench-depth`: does a long queue slow its head? It fills a queue with the gateway's own function. Then it claims
 * and acknowledges from the head as a worker does, and adds as many at the end. It needs `redis-server`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { startRedis } from "../src/local-redis/redis-child.ts";
import { Histogram } from "../src/telemetry/duration-histogram.ts";
import { connect } from "../src/redis/connection/connect.ts";
import { Keys } from "../src/redis/keys.ts";
import { QueueConsumer } from "../src/redis/queue-consumer.ts";
import { openStores } from "../src/redis/stores.ts";
import type { Stores } from "../src/redis/stores.ts";
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

interface DepthContext {
  readonly stores: Stores;
  readonly consumer: QueueConsumer;
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

async function fill({ stores }: DepthContext, countOrOmit: number): Promise<void> {
  const chunk = 1000;
  for (let done = 0; done < countOrOmit; done += chunk) {
    const size = Math.min(chunk, countOrOmit - done);
    const entries = Array.from({ length: size }, async (_, n) => stores.queue.add(MODEL, record(n)));
    await Promise.all([...entries, stores.doorbells.ring(MODEL, size)]);
  }
}

/** Times of claims and of acknowledgements, each of `CREDITS` tasks. */
async function claimAll(
  place: DepthContext,
): Promise<{ readonly claimed: Histogram; readonly acknowledged: Histogram }> {
  const [claimed, acknowledged] = [new Histogram(), new Histogram()];
  for (let countOrOmit = 0; countOrOmit < CLAIMS; countOrOmit += 1) {
    await fill(place, CREDITS);
    const begin = performance.now();
    const order = { models: [MODEL], consumer: CONSUMER, credits: CREDITS, waitMs: 1000 };
    const tasks = await place.consumer.take(order);
    claimed.record((performance.now() - begin) * 1000);
    const from = performance.now();
    await place.stores.queue.acknowledge(
      MODEL,
      tasks.map(({ entry }) => entry),
    );
    acknowledged.record((performance.now() - from) * 1000);
  }
  return { claimed, acknowledged };
}

async function measure(place: DepthContext): Promise<string[][]> {
  const rows: string[][] = [];
  let depth = 0;
  await place.stores.queue.ensureGroup(MODEL);
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
  const keys = new Keys("bench");
  const consumer = new QueueConsumer(claims, keys);
  const rows = await measure({ stores: openStores(connection, keys), consumer });
  const head = ["queued", `claim of ${CREDITS}, µs: p50, p99`, `acknowledgement of ${CREDITS}, µs: p50, p99`];
  console.log(alignTable([head, ...rows]));
} finally {
  connection.close();
  claims.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
}
