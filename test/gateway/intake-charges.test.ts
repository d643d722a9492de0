import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Principal } from "../../src/core/access/principal.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Endpoint, Task } from "../../src/core/task.ts";
import { TimeoutPolicy } from "../../src/core/timeout-policy.ts";
import type { Charge } from "../../src/gateway/access/limit-check.ts";
import type { HttpRequest } from "../../src/gateway/http/http.ts";
import type { Rejection } from "../../src/gateway/requests/task-observer.ts";
import { LARGE_BODY_BYTES } from "../../src/gateway/requests/large-bodies.ts";
import { FakeReply } from "./fake-reply.ts";
import { intakeOf, NO_HEADERS } from "./intake-rig.ts";
import type { IntakeRigOptions } from "./intake-rig.ts";
import { keyOf, refuses, ScriptedLimit } from "./limited-gateway.ts";

const POLICY = new TimeoutPolicy({
  queueTimeoutMs: 0,
  connectTimeoutMs: 0,
  firstTokenTimeoutMs: 0,
  idleTimeoutMs: 0,
  taskTimeoutMs: 5000,
  modelTimeouts: "",
});

const ANN: Principal = { role: "client", key: keyOf("ann", { models: ["tiny"], otpm: 1000 }) };

const BODY = '{"model":"tiny","prompt":"hello"}';
/** Estimated tokens of its prompt: four bytes are one. */
const HELLO_TOKENS = 2;

interface Rig {
  readonly limit: ScriptedLimit;
  readonly tasks: Task[];
  readonly kept: (readonly [task: string, inputTokens: number])[];
  readonly rejected: Rejection[];
  readonly charging: () => number;
  readonly take: (more?: Partial<HttpRequest> & { readonly endpoint?: Endpoint }) => FakeReply;
}

function rig(options: Partial<IntakeRigOptions> = {}): Rig {
  const limit = new ScriptedLimit();
  const tasks: Task[] = [];
  const kept: (readonly [string, number])[] = [];
  const rejected: Rejection[] = [];
  const intake = intakeOf({
    timeouts: POLICY,
    models: ["tiny", "secret"],
    isAdmin: () => false,
    principal: () => ANN,
    limits: limit,
    onAccepted: (task) => tasks.push(task),
    onRejected: (rejection) => rejected.push(rejection),
    keep: (task, _charge, inputTokens) => kept.push([task, inputTokens]),
    ...options,
  });
  const take: Rig["take"] = ({ endpoint = "ollama-generate", ...more } = {}) => {
    const reply = new FakeReply();
    const request: HttpRequest = {
      method: "POST",
      path: "/api/generate",
      query: "",
      headers: NO_HEADERS,
      body: Buffer.from(BODY),
      remote: "",
      ...more,
    };
    intake.take(endpoint, request, reply);
    return reply;
  };
  return { limit, tasks, kept, rejected, charging: () => intake.charging, take };
}

/** A limit that answers when the test says so. */
function later(limit: ScriptedLimit): { readonly take: () => void; readonly refuse: (fault: Fault) => void } {
  const { promise, resolve, reject } = Promise.withResolvers<Charge>();
  limit.steps.push(() => promise);
  return { take: () => resolve(limit.take()), refuse: reject };
}

/** Lets everything run that waits for promises. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const RATE = new Fault("rate_limited", "later", { retryAfter: 0.25 });
const FULL = new Fault("queue_full", "full", { retryAfter: 2 });

describe("the limits of a request", () => {
  it("are charged with its estimate, and kept until its end", () => {
    const { limit, tasks, kept, take } = rig();
    take();
    assert.deepEqual(limit.requests, [
      { principal: ANN, model: "tiny", inputTokens: HELLO_TOKENS, outputTokens: 256 },
    ]);
    assert.deepEqual(kept, [["g.1", HELLO_TOKENS]]);
    assert.equal(tasks[0]?.keyName, "ann");
  });

  it("are not asked without a key", () => {
    const { limit, tasks, take } = rig({ principal: () => ({ role: "client" }) });
    take();
    assert.equal(tasks.length, 1);
    assert.deepEqual(limit.requests, []);
  });

  it("are not asked before the model is known", () => {
    const { limit, take } = rig();
    for (const model of ["none", "secret"]) {
      assert.equal(take({ body: Buffer.from(JSON.stringify({ model, prompt: "a" })) }).status, 404);
    }
    assert.deepEqual(limit.requests, []);
  });

  it("refuse before the bounds of the gateway do", () => {
    const { limit, take } = rig({ admit: refuses(FULL) });
    limit.steps.push(refuses(RATE));
    assert.equal(take().status, 429);
    assert.equal(take().status, 503);
    assert.deepEqual(limit.seen, ["charged", "refunded"]);
  });

  it("are given back when the request is refused after them, for any reason", () => {
    const { limit, tasks, kept, take } = rig();
    const reply = take({ headers: { ...NO_HEADERS, timeouts: "soon" } });
    assert.equal(reply.status, 400);
    assert.deepEqual([limit.seen, tasks, kept], [["charged", "refunded"], [], []]);
  });

  const free: readonly (readonly [endpoint: Endpoint, body: object])[] = [
    ["anthropic-count-tokens", { messages: [{ role: "user", content: "hello" }] }],
    ["openai-tokenize", { content: "hello" }],
    ["openai-detokenize", { tokens: [1] }],
  ];
  for (const [endpoint, body] of free) {
    it(`are a request without tokens for ${endpoint}`, () => {
      const { limit, take } = rig();
      take({ endpoint, body: Buffer.from(JSON.stringify({ model: "tiny", ...body })) });
      const [{ inputTokens, outputTokens } = assert.fail()] = limit.requests;
      assert.deepEqual([inputTokens, outputTokens], [0, 0]);
    });
  }
});

describe("a request whose limits must be asked of Redis", () => {
  it("becomes a task when they are charged", async () => {
    const { limit, tasks, kept, charging, take } = rig();
    const pending = later(limit);
    take();
    assert.deepEqual([tasks.length, charging()], [0, 1]);
    pending.take();
    await settled();
    assert.deepEqual([tasks.length, kept.length, charging()], [1, 1, 0]);
    assert.deepEqual(limit.seen, ["charged"]);
  });

  it("is refused when they say so", async () => {
    const { limit, tasks, rejected, charging, take } = rig();
    const pending = later(limit);
    const reply = take();
    pending.refuse(RATE);
    await settled();
    assert.deepEqual([reply.status, tasks.length, charging()], [429, 0, 0]);
    assert.equal(reply.headers.get("retry-after-ms"), "250");
    assert.equal(rejected[0]?.fault.code, "rate_limited");
  });

  it("is forgotten when its client is gone meanwhile, and gets all back", async () => {
    const { limit, tasks, rejected, take } = rig();
    const pending = later(limit);
    take().leave();
    pending.take();
    await settled();
    assert.deepEqual([limit.seen, tasks], [["charged", "refunded"], []]);
    assert.equal(rejected[0]?.fault.code, "cancelled");
  });

  it("is refused when the queue is full meanwhile, and gets all back", async () => {
    let isFull = false;
    const { limit, tasks, take } = rig({
      admit: () => {
        if (isFull) throw FULL;
      },
    });
    const pending = later(limit);
    const reply = take();
    isFull = true;
    pending.take();
    await settled();
    assert.deepEqual([reply.status, limit.seen, tasks], [503, ["charged", "refunded"], []]);
    assert.equal(reply.headers.get("retry-after"), "2");
  });

  for (const code of ["draining", "redis_down"] as const) {
    it(`is refused when the gateway is ${code} meanwhile, and gets all back`, async () => {
      let unready: Fault | undefined;
      const { limit, tasks, charging, take } = rig({ unready: () => unready });
      const pending = later(limit);
      const reply = take();
      unready = new Fault(code, "not now");
      pending.take();
      await settled();
      assert.deepEqual([reply.status, limit.seen, tasks], [503, ["charged", "refunded"], []]);
      assert.equal(charging(), 0);
    });
  }

  it("waits for the end of a short outage that began meanwhile", async () => {
    const waiting: (() => void)[] = [];
    const outageBuffer = { open: false, wait: (enter: () => void) => void waiting.push(enter) };
    const { limit, tasks, charging, take } = rig({ outageBuffer });
    const pending = later(limit);
    take();
    outageBuffer.open = true;
    pending.take();
    await settled();
    assert.deepEqual([tasks.length, charging()], [0, 1]);
    for (const enter of waiting) enter();
    await settled();
    assert.deepEqual([tasks.length, charging()], [1, 0]);
  });

  it("may have a large body, which is read first", async () => {
    const body = Buffer.from(JSON.stringify({ model: "tiny", prompt: "x".repeat(LARGE_BODY_BYTES) }));
    const openLarge: IntakeRigOptions["openLarge"] = () =>
      Promise.resolve({
        model: "tiny",
        stream: true,
        bytes: body,
        keepsAlive: false,
        size: { inputTokens: 7000, answers: 1 },
      });
    const { limit, tasks, take } = rig({ openLarge });
    const reply = take({ body });
    const pending = later(limit);
    await settled();
    pending.refuse(RATE);
    await settled();
    assert.deepEqual([reply.status, tasks.length], [429, 0]);
    assert.equal(limit.requests[0]?.inputTokens, 7000);
  });
});

describe("a request without a key", () => {
  it("is refused when the first key was made while its body came", () => {
    const { tasks, take } = rig({ principal: () => undefined });
    assert.equal(take().status, 401);
    assert.deepEqual(tasks, []);
  });
});
