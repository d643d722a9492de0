import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { queueWaitMs } from "../../src/core/outcome.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import { Fault } from "../../src/core/fault.ts";
import { openTaskObservers } from "../../src/gateway/monitor/task-observers.ts";
import type { TaskObserver } from "../../src/gateway/requests/task-observer.ts";
import { openGatewayMetrics } from "../../src/telemetry/gateway-metrics.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { exchangeOf } from "./exchange-rig.ts";

const OUTCOME: Outcome = {
  status: 200,
  fault: undefined,
  end: { firstByteMs: 300, totalMs: 1000 },
  goneIn: undefined,
  firstByteMs: 450,
  totalMs: 5000,
  abandon: false,
};

describe("the wait in the queue", () => {
  it("of a stream is told by its first byte: its end may have waited for a slow client", () => {
    assert.equal(queueWaitMs(true, OUTCOME), 150);
  });

  it("of a whole answer is told by its end", () => {
    assert.equal(queueWaitMs(false, { ...OUTCOME, firstByteMs: 1200, totalMs: 1200 }), 200);
  });

  it("of a stream that failed before its first byte is told by its end", () => {
    const failed = { ...OUTCOME, end: { totalMs: 40 }, firstByteMs: undefined, totalMs: 90 };
    assert.equal(queueWaitMs(true, failed), 50);
  });

  it("is not known where the worker told no times, and never below nothing", () => {
    assert.equal(queueWaitMs(true, { ...OUTCOME, end: undefined }), undefined);
    assert.equal(queueWaitMs(false, { ...OUTCOME, end: {} }), undefined);
    assert.equal(queueWaitMs(false, { ...OUTCOME, totalMs: 999.6 }), 0);
  });
});

/** Log lines of the observers, each parsed. */
function linesOf(
  use: (observer: Required<Pick<TaskObserver, "ended" | "rejected">>) => void,
): Record<string, unknown>[] {
  const lines: string[] = [];
  const log = openLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
  const metrics = openGatewayMetrics({ version: "1.2.3" });
  const observers = openTaskObservers({ log, metrics, catalogue: { serves: () => true } });
  use({
    ended: (exchange, outcome) => {
      for (const observer of observers) observer.ended?.(exchange, outcome);
    },
    rejected: (rejection) => {
      for (const observer of observers) observer.rejected?.(rejection);
    },
  });
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("the log line of a request", () => {
  const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
  const TRACEPARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

  it("names the trace that a traceparent told, and none without one", () => {
    const [traced, plain] = linesOf((observer) => {
      observer.ended(exchangeOf("g.1", { trace: TRACEPARENT }).exchange, OUTCOME);
      observer.ended(exchangeOf("g.2").exchange, OUTCOME);
    });
    assert.equal(traced?.["traceId"], TRACE_ID);
    assert.equal(traced["task"], "g.1");
    assert.ok(plain !== undefined && !("traceId" in plain));
  });

  it("says in which phase its client left", () => {
    const fault = new Fault("cancelled", "the client left");
    const [left, whole] = linesOf((observer) => {
      observer.ended(exchangeOf("g.1").exchange, { ...OUTCOME, status: 499, fault, goneIn: "queued" });
      observer.ended(exchangeOf("g.2").exchange, OUTCOME);
    });
    assert.deepEqual([left?.["code"], left?.["leftIn"]], ["cancelled", "queued"]);
    assert.ok(whole !== undefined && !("leftIn" in whole));
  });

  it("is written for one that was refused, too", () => {
    const fault = new Fault("model_not_found", "model 'none' not found");
    const ids = { task: "g.3", request: "mine", endpoint: "openai-chat" } as const;
    const lines = linesOf((observer) => {
      observer.rejected({ ...ids, trace: TRACEPARENT, model: "none", at: 5, fault });
    });
    assert.deepEqual(
      lines.map(({ time: _time, ...line }) => line),
      [
        {
          level: "info",
          message: "request",
          request: "mine",
          task: "g.3",
          traceId: TRACE_ID,
          endpoint: "openai-chat",
          model: "none",
          status: 404,
          code: "model_not_found",
          cause: "request",
          totalMs: 0,
        },
      ],
    );
  });
});
