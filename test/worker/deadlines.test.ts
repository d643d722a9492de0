import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { tmpdir } from "node:os";
import { after, before, describe, it, type TestContext } from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { HttpBackend } from "../../src/backends/http-backend.ts";
import type { HttpKind } from "../../src/backends/profiles.ts";
import { loadSettings } from "../../src/config/load.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Frame } from "../../src/core/frame.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import type { PhaseLimits } from "../../src/core/timeouts.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { decodeFrames } from "../../src/wire/frame-codec.ts";
import { encodeTask } from "../../src/wire/task-codec.ts";
import { startWorker } from "../../src/worker/worker.ts";
import { until } from "../rig/until.ts";
import { openRedisRig, type RedisRig } from "../rig/redis/redis-rig.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import { TINY_CARD } from "./idle-backend.ts";
import { aTask } from "../rig/task.ts";

/** A worker with a real Redis and servers that misbehave on real sockets. */

const TAG = "g0123456789ab";
const NO_LIMITS: PhaseLimits = { queueUntil: 0, connectMs: 0, firstTokenMs: 0, idleMs: 0 };

let redis: RedisRig;
let count = 0;

before(async () => {
  redis = await openRedisRig();
  const gateway = { tag: TAG, version: "", host: "", pid: 1, port: 1, startedAt: 0, seenAt: 0, open: 0 };
  await redis.stores.registry.announceGateway(gateway);
  await redis.connection.command("PERSIST", redis.keys.gateway(TAG));
});
after(async () => {
  await redis.close();
});

interface BadServer {
  readonly port: number;
  /** Connections taken, and those that the worker has hung up. */
  taken: number;
  hungUp: number;
}

/** Does what `answer` does with each connection that has sent something. */
async function badServer(t: TestContext, answer: (socket: net.Socket) => void): Promise<BadServer> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    bad.taken += 1;
    socket.on("error", () => {}).on("close", () => (bad.hungUp += 1));
    socket.once("data", () => answer(socket));
  });
  const bad: BadServer = { port: 0, taken: 0, hungUp: 0 };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return Object.assign(bad, { port: (server.address() as net.AddressInfo).port });
}

interface Plan {
  readonly kind?: HttpKind;
  readonly connectMs?: number;
  readonly deliveryLimit?: number;
  /** Whether health checks of the server succeed; they do when absent. */
  readonly well?: () => boolean;
}

/** Starts a worker with one slot on a server that it takes for a healthy one, whatever that is. */
async function workFor(t: TestContext, origin: string, plan: Plan = {}): Promise<void> {
  const { kind = "ollama", connectMs = 60_000, deliveryLimit = 1, well = () => true } = plan;
  const http = new HttpBackend({
    kind,
    target: { origin, prefix: "", authorization: undefined },
    slots: 1,
    connectMs,
  });
  const backend: Backend = {
    name: `test@${origin}`,
    kind,
    url: origin,
    inspect: async () => {
      await Promise.resolve();
      if (!well()) throw new Fault("backend_unreachable", "not well");
      return { models: [TINY_CARD], slots: 1 };
    },
    run: (task, model, sink, signal) => http.run(task, model, sink, signal),
    close: () => http.close(),
  };
  const env = { REDIS_URL: redis.server.url, SGNET_PREFIX: redis.keys.prefix };
  const settings = loadSettings({ flags: {}, env, cwd: tmpdir() });
  const worker = await startWorker({
    settings: { ...settings, deliveryLimit, drainMs: 0, leaseMs: 1000 },
    log: openLog({ level: "error", format: "json" }),
    backends: [backend],
  });
  t.after(() => worker.stop());
}

interface Wish {
  readonly endpoint?: Endpoint;
  readonly stream?: boolean;
  readonly limits?: Partial<PhaseLimits>;
}

/** Queues a task; resolves with all frames of its reply. */
async function ask({
  endpoint = "ollama-chat",
  stream = true,
  limits = {},
}: Wish): Promise<readonly Frame[]> {
  const { stores } = redis;
  const body = { model: "tiny", messages: [{ role: "user", content: "hi" }], max_tokens: 9, stream };
  const task: Task = aTask({
    id: `${TAG}.${(count += 1)}`,
    endpoint,
    stream,
    body: Buffer.from(JSON.stringify(body)),
    limits: { ...NO_LIMITS, ...limits },
  });
  await stores.queue.ensureGroup("tiny");
  await stores.replies.open([{ id: task.id, life: 60_000 }]);
  await stores.queue.add("tiny", encodeTask(task, true));
  await stores.doorbells.ring("tiny", 1);
  return until("the end of a reply", async () => {
    const start = { task: task.id, attempt: 0, seq: 0 };
    const records = (await stores.replies.read([start], 1000)).get(task.id) ?? [];
    const frames = records.flatMap((record) => (record.type === "frame" ? decodeFrames(record.bytes) : []));
    return frames.at(-1)?.end === undefined ? undefined : frames;
  });
}

function faultOf(frames: readonly Frame[]): string {
  return frames.at(-1)?.end?.fault?.code ?? "none";
}

function textOf(frames: readonly Frame[]): string {
  return frames.map(({ bytes }) => bytes.toString()).join("");
}

const HEAD = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: ";
const NDJSON = `${HEAD}application/x-ndjson\r\n\r\n`;
const EVENTS = `${HEAD}text/event-stream\r\n\r\n`;
const LINE = '{"model":"tiny:latest","message":{"role":"assistant","content":"t0 "},"done":false}\n';
const LAST =
  '{"model":"tiny:latest","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n';
const EVENT = 'data: {"id":"1","choices":[{"index":0,"delta":{"content":"t0 "},"finish_reason":null}]}\n\n';

function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** Writes something again and again, until the connection ends. */
function drip(socket: net.Socket, texts: () => string | undefined, everyMs = 40): void {
  const timer = setInterval(() => {
    const text = texts();
    if (text === undefined) clearInterval(timer);
    else socket.write(text);
  }, everyMs);
  socket.on("close", () => clearInterval(timer));
}

async function assertHungUp(server: BadServer): Promise<void> {
  await until("the end of every call", () => server.hungUp === server.taken);
}

describe("a worker gives up a backend that", () => {
  it("takes the request and says nothing", async (t) => {
    const server = await badServer(t, () => {});
    await workFor(t, `http://127.0.0.1:${server.port}`);
    for (const turn of [1, 2]) {
      const frames = await ask({ limits: { firstTokenMs: 100, idleMs: 60_000 } });
      assert.equal(faultOf(frames), "first_token_timeout");
      await assertHungUp(server);
      assert.equal(server.taken, turn, "the only slot is free again");
    }
  });

  for (const [endpoint, kind, head] of [
    ["ollama-chat", "ollama", NDJSON],
    ["openai-chat", "openai", EVENTS],
    ["anthropic-messages", "openai", EVENTS],
    ["openai-chat", "ollama", NDJSON],
  ] as const) {
    it(`answers the head and no token: ${endpoint} at ${kind}`, async (t) => {
      const server = await badServer(t, (socket) => socket.write(head));
      await workFor(t, `http://127.0.0.1:${server.port}`, { kind });
      const frames = await ask({ endpoint, limits: { firstTokenMs: 100 } });
      assert.equal(faultOf(frames), "first_token_timeout");
      assert.equal(textOf(frames), "");
      await assertHungUp(server);
    });

    it(`falls silent after a token: ${endpoint} at ${kind}`, async (t) => {
      const token = kind === "ollama" ? LINE : EVENT;
      const server = await badServer(t, (socket) => socket.write(head + chunk(token)));
      await workFor(t, `http://127.0.0.1:${server.port}`, { kind });
      const frames = await ask({ endpoint, limits: { firstTokenMs: 60_000, idleMs: 100 } });
      assert.equal(faultOf(frames), "idle_timeout");
      assert.match(textOf(frames), /t0 /);
      await assertHungUp(server);
    });
  }

  it("only keeps the connection open", async (t) => {
    const server = await badServer(t, (socket) => {
      socket.write(EVENTS);
      drip(socket, () => chunk(": still there\n\n"));
    });
    await workFor(t, `http://127.0.0.1:${server.port}`, { kind: "openai" });
    const limits = { firstTokenMs: 300, idleMs: 60_000 };
    assert.equal(faultOf(await ask({ endpoint: "openai-chat", limits })), "first_token_timeout");
    await assertHungUp(server);
  });

  it("only keeps the connection open after a token", async (t) => {
    const server = await badServer(t, (socket) => {
      socket.write(EVENTS + chunk(EVENT));
      drip(socket, () => chunk(": still there\n\n"));
    });
    await workFor(t, `http://127.0.0.1:${server.port}`, { kind: "openai" });
    assert.equal(faultOf(await ask({ endpoint: "openai-chat", limits: { idleMs: 300 } })), "idle_timeout");
    await assertHungUp(server);
  });

  for (const [whose, connectMs, limits] of [
    ["its task says", 60_000, { connectMs: 100 }],
    ["it is set to itself", 100, {}],
  ] as const) {
    it(`lets no connection be made, as ${whose}`, async (t) => {
      // Takes the connection and never answers TLS's hello.
      const server = await badServer(t, () => {});
      await workFor(t, `https://127.0.0.1:${server.port}`, { connectMs });
      assert.equal(faultOf(await ask({ limits })), "connect_timeout");
      await until("the connection", () => server.taken > 0);
    });
  }
});

describe("a worker does not give up a backend that", () => {
  it("answers slowly, a token at a time", async (t) => {
    const server = await badServer(t, (socket) => {
      const texts = [...Array<string>(20).fill(chunk(LINE)), chunk(LAST) + chunk("")];
      socket.write(NDJSON);
      drip(socket, () => texts.shift(), 300);
    });
    await workFor(t, `http://127.0.0.1:${server.port}`);
    const frames = await ask({ limits: { firstTokenMs: 5000, idleMs: 5000 } });
    assert.equal(faultOf(frames), "none");
    assert.equal(textOf(frames).split("t0 ").length, 21);
  });

  it("thinks about a whole answer, however long the first token of a stream may take", async (t) => {
    const standIn = await startStandIn({ speaks: "ollama", firstTokenMs: 800 });
    t.after(() => standIn.stop());
    await workFor(t, standIn.url);
    assert.equal(faultOf(await ask({ stream: false, limits: { firstTokenMs: 1, idleMs: 1 } })), "none");
  });
});

describe("a worker", () => {
  it("does not begin what has waited too long", async (t) => {
    const server = await badServer(t, () => {});
    await workFor(t, `http://127.0.0.1:${server.port}`);
    assert.equal(faultOf(await ask({ limits: { queueUntil: Date.now() - 1 } })), "queue_timeout");
    assert.equal(server.taken, 0);
  });

  it("leaves a task to another when no connection can be made", async (t) => {
    const server = await badServer(t, () => {});
    const well = (): boolean => server.taken === 0;
    await workFor(t, `https://127.0.0.1:${server.port}`, { deliveryLimit: 3, well });
    const answer = ask({ limits: { connectMs: 4000 } });
    await until("a try", () => server.taken > 0);
    const standIn = await startStandIn({ speaks: "ollama" });
    t.after(() => standIn.stop());
    await workFor(t, standIn.url, { deliveryLimit: 3 });
    assert.equal(faultOf(await answer), "none");
  });
});
