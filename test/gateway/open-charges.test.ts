import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fault, faultToRecord } from "../../src/core/fault.ts";
import type { FaultCode } from "../../src/core/fault.ts";
import type { Frame, FrameEnd } from "../../src/core/frame.ts";
import type { Task } from "../../src/core/task.ts";
import { OpenCharges } from "../../src/gateway/requests/open-charges.ts";
import { exchangeOf } from "./exchange-rig.ts";
import type { ExchangeRig } from "./exchange-rig.ts";
import { ScriptedLimit } from "./limited-gateway.ts";

const USAGE = { promptTokens: 3, completionTokens: 4 };
const TEN_EVENTS = Buffer.alloc(1100, "x");

/** Estimated input tokens of each task here. */
const INPUT = 50;

function frame(attempt: number, seq: number, more: Partial<Frame> = {}): Frame {
  const head = { status: 200, contentType: "application/x-ndjson", worker: `w${attempt}` };
  return { task: "g.1", attempt, seq, bytes: Buffer.alloc(0), ...(seq === 1 ? { head } : {}), ...more };
}

function failed(code: FaultCode, http?: number): FrameEnd {
  return { fault: faultToRecord(new Fault(code, "failed", http === undefined ? {} : { http })) };
}

/** Runs a task to its end. Returns what became of its charge. */
function endOf(run: (rig: ExchangeRig) => void, more: Partial<Task> = {}): readonly string[] {
  const limit = new ScriptedLimit();
  const charges = new OpenCharges();
  const rig = exchangeOf("g.1", { stream: true, ...more });
  charges.keep("g.1", limit.take(), INPUT);
  run(rig);
  const [outcome] = rig.outcomes;
  assert.ok(outcome !== undefined, "the task is over");
  charges.ended(rig.exchange, outcome);
  assert.equal(charges.size, 0);
  return limit.seen.slice(1);
}

const ENDS: Readonly<
  Record<string, readonly [run: (rig: ExchangeRig) => void, due: string, more?: Partial<Task>]>
> = {
  "answered: the tokens that its worker counted": [
    ({ exchange }) => exchange.receive(frame(1, 1, { bytes: TEN_EVENTS, end: { usage: USAGE } })),
    "settled 3+4",
  ],
  "answered without a count: the estimate": [
    ({ exchange }) => exchange.receive(frame(1, 1, { bytes: TEN_EVENTS, end: {} })),
    "settled",
  ],
  "a count of tokens: its request only": [
    ({ exchange }) => exchange.receive(frame(1, 1, { bytes: TEN_EVENTS, end: { usage: USAGE } })),
    "settled 0+0",
    { endpoint: "anthropic-count-tokens", stream: false },
  ],
  "answered after a worker was lost: once, what the last one counted": [
    ({ exchange }) => {
      exchange.claimed(1);
      exchange.claimed(2);
      exchange.receive(frame(2, 1, { bytes: TEN_EVENTS, end: { usage: USAGE, ordinal: 2, lost: "w1" } }));
    },
    "settled 3+4",
  ],
  "answered after it was queued again": [
    ({ exchange }) => {
      exchange.queued("1-0");
      exchange.requeue();
      exchange.requeued("2-0");
      exchange.receive(frame(1, 1, { bytes: TEN_EVENTS, end: { usage: USAGE } }));
    },
    "settled 3+4",
  ],
  "Redis could not take it: nothing": [
    ({ exchange }) => exchange.fail(new Fault("redis_down", "away")),
    "refunded",
  ],
  "no worker was free: nothing": [
    ({ exchange }) => {
      exchange.queued("1-0");
      exchange.fail(new Fault("queue_timeout", "no worker"));
    },
    "refunded",
  ],
  "a worker saw that its time had passed: nothing": [
    ({ exchange }) => exchange.receive(frame(1, 1, { end: failed("queue_timeout") })),
    "refunded",
  ],
  "every backend was busy: nothing": [
    ({ exchange }) => exchange.receive(frame(1, 1, { end: { ...failed("backend_busy", 429), ordinal: 3 } })),
    "refunded",
  ],
  "the gateway stops before an answer: nothing": [
    ({ exchange }) => {
      exchange.claimed(1);
      exchange.fail(new Fault("draining", "stopping"));
    },
    "refunded",
  ],
  "its backend refused the request: the request": [
    ({ exchange }) => exchange.receive(frame(1, 1, { end: failed("backend_error", 400) })),
    "settled 0+0",
  ],
  "each worker that ran it was lost: the request": [
    ({ exchange }) => exchange.receive(frame(3, 1, { end: { ...failed("delivery_limit"), ordinal: 3 } })),
    "settled 0+0",
  ],
  "a time limit passed while the model worked: the estimate": [
    ({ exchange }) => exchange.receive(frame(1, 1, { end: failed("first_token_timeout") })),
    "settled",
  ],
  "its whole time passed before a worker began: nothing": [
    ({ exchange }) => {
      exchange.queued("1-0");
      exchange.fail(new Fault("deadline_exceeded", "too long"));
    },
    "refunded",
  ],
  "its whole time passed while a worker had it, without a sign of it: the estimate": [
    ({ exchange }) => {
      exchange.queued("1-0");
      exchange.runs("w1");
      exchange.fail(new Fault("deadline_exceeded", "too long"));
    },
    "settled",
  ],
  "its stream broke: the tokens that the client got": [
    ({ exchange }) => {
      exchange.receive(frame(1, 1, { bytes: TEN_EVENTS }));
      exchange.receive(frame(1, 2, { end: failed("backend_lost") }));
    },
    "settled 50+10",
  ],
  "its stream broke, and the worker counted: these": [
    ({ exchange }) => {
      exchange.receive(frame(1, 1, { bytes: TEN_EVENTS }));
      exchange.receive(frame(1, 2, { end: { ...failed("backend_lost"), usage: USAGE } }));
    },
    "settled 3+4",
  ],
  "its client left before Redis had it: the request": [({ reply }) => reply.leave(), "settled 0+0"],
  "its client left while it waited: the request": [
    ({ exchange, reply }) => {
      exchange.queued("1-0");
      reply.leave();
    },
    "settled 0+0",
  ],
  "its client left while a worker had it: the estimate": [
    ({ exchange, reply }) => {
      exchange.queued("1-0");
      exchange.runs("w1");
      reply.leave();
    },
    "settled",
  ],
  "its client left within the answer: the tokens that it got": [
    ({ exchange, reply }) => {
      exchange.receive(frame(1, 1, { bytes: TEN_EVENTS }));
      reply.leave();
    },
    "settled 50+10",
  ],
};

describe("the charge of a task", () => {
  for (const [about, [run, due, more]] of Object.entries(ENDS)) {
    it(about, () => assert.deepEqual(endOf(run, more), [due]));
  }

  it("is none for a task without limits, and is never settled twice", () => {
    const limit = new ScriptedLimit();
    const charges = new OpenCharges();
    charges.keep("g.1", limit.take(), INPUT);
    const rig = exchangeOf("g.2");
    rig.exchange.fail(new Fault("redis_down", "away"));
    const [outcome] = rig.outcomes;
    assert.ok(outcome !== undefined);
    charges.ended(rig.exchange, outcome);
    assert.deepEqual([limit.seen, charges.size], [["charged"], 1]);
    const other = exchangeOf("g.1");
    charges.ended(other.exchange, outcome);
    charges.ended(other.exchange, outcome);
    assert.deepEqual(limit.seen, ["charged", "refunded"]);
  });
});
