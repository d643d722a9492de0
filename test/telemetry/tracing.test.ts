import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { type ExportResult, ExportResultCode } from "@opentelemetry/core";
import { validTraceparent, operationOf } from "../../src/core/trace.ts";
import type { LogFields } from "../../src/telemetry/log.ts";
import { openTracing, ReportingExporter, usageAttributes } from "../../src/telemetry/tracing.ts";
import type { Tracing, TracingOptions } from "../../src/telemetry/tracing.ts";
import { startCollector } from "./collector.ts";
import type { Collector } from "./collector.ts";

const CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED = CLIENTS.replace(/01$/, "00");

describe("a traceparent", () => {
  it("is kept when it is one, and nothing else is", () => {
    assert.equal(validTraceparent(CLIENTS), CLIENTS);
    const others = [
      "",
      "00-1-2-01",
      CLIENTS.toUpperCase(),
      CLIENTS.replace("00-", "ff-"),
      CLIENTS.replace("0af7651916cd43dd8448eb211c80319c", "0".repeat(32)),
      CLIENTS.replace("b7ad6b7169203331", "0".repeat(16)),
      `${CLIENTS}\r\nx-evil: 1`,
    ];
    for (const other of others) assert.equal(validTraceparent(other), "", other);
  });

  it("comes with an operation for each endpoint that asks a model", () => {
    assert.equal(operationOf("anthropic-messages"), "chat");
    assert.equal(operationOf("ollama-generate"), "text_completion");
    assert.equal(operationOf("openai-embeddings"), "embeddings");
    assert.equal(operationOf("ollama-pull"), undefined);
  });
});

/** Leaves a span; returns its traceparent. */
function leave(tracing: Tracing, parent = ""): string {
  const plan = { name: "a", kind: "server", parent, at: performance.now(), attributes: {} } as const;
  const span = tracing.begin(plan);
  span.end({ at: performance.now() });
  return span.traceparent;
}

/** Ms since 1970. */
function ms(nano: string): number {
  return Number(BigInt(nano) / 1000n) / 1000;
}

describe("spans", () => {
  let collector: Collector;
  const open: Tracing[] = [];
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const note = (message: string, fields?: LogFields): number => lines.push({ message, fields });
  const log = { error: note, warn: note, info: note, debug: note, with: () => log };
  before(async () => {
    collector = await startCollector();
  });
  afterEach(async () => {
    for (const tracing of open.splice(0)) await tracing.stop();
    collector.spans.length = 0;
    collector.status = 200;
    lines.length = 0;
  });
  after(() => collector.stop());

  const tracingTo = async (options: Partial<TracingOptions> = {}): Promise<Tracing> => {
    const usual = { headers: "", service: "s", version: "1", sampler: "parentbased_always_on", ratio: 1 };
    const tracing = await openTracing({ endpoint: collector.url, ...usual, log, ...options });
    open.push(tracing);
    return tracing;
  };
  it("reach the collector with their times, attributes and parents", async () => {
    const tracing = await tracingTo({
      endpoint: `${collector.url}/`,
      headers: "x-key=a%20b, x-other=c",
      service: "mine",
    });
    const at = performance.now();
    const wall = Date.now();
    const whole = tracing.begin({
      name: "whole",
      kind: "server",
      parent: CLIENTS,
      at,
      attributes: { text: "a", number: 2, nothing: undefined },
    });
    const part = tracing.begin({
      name: "part",
      kind: "client",
      parent: whole.traceparent,
      at: at + 5,
      attributes: {},
    });
    part.end({ at: at + 10, error: "backend_lost", attributes: { more: true } });
    whole.end({ at: at + 20 });
    await tracing.stop();
    const byName = new Map((await collector.see(2)).map((span) => [span.name, span]));
    const [top = assert.fail(), below = assert.fail()] = [byName.get("whole"), byName.get("part")];
    assert.deepEqual([top.kind, top.service, top.parentSpanId], [2, "mine", "b7ad6b7169203331"]);
    assert.equal(top.traceId, "0af7651916cd43dd8448eb211c80319c");
    assert.equal(whole.traceparent, `00-${top.traceId}-${top.spanId}-01`);
    assert.deepEqual(top.attributes, { text: "a", number: 2 });
    assert.deepEqual([below.kind, below.parentSpanId, below.traceId], [3, top.spanId, top.traceId]);
    assert.deepEqual(
      [below.status.code, below.status.message, below.attributes["more"]],
      [2, "backend_lost", true],
    );
    assert.ok(Math.abs(ms(top.startTimeUnixNano) - wall) < 10_000, "by the wall clock");
    const lasted = ms(top.endTimeUnixNano) - ms(top.startTimeUnixNano);
    assert.ok(Math.abs(lasted - 20) < 0.1, `lasted ${lasted}`);
    const request = collector.requests.at(-1) ?? assert.fail();
    assert.equal(request.path, "/v1/traces");
    assert.deepEqual([request.headers["x-key"], request.headers["x-other"]], ["a b", "c"]);
  });

  it("are left where the sampler says so; the client's word counts with parentbased", async () => {
    const samplers: readonly (readonly [Partial<TracingOptions>, string, number])[] = [
      [{}, UNSAMPLED, 0],
      [{}, CLIENTS, 1],
      [{ sampler: "always_on" }, UNSAMPLED, 1],
      [{ sampler: "always_off" }, CLIENTS, 0],
      [{ sampler: "parentbased_always_off" }, "", 0],
      [{ sampler: "parentbased_always_off" }, CLIENTS, 1],
      [{ sampler: "traceidratio", ratio: 0 }, CLIENTS, 0],
      [{ sampler: "parentbased_traceidratio", ratio: 1 }, "", 1],
    ];
    for (const [options, parent, count] of samplers) {
      collector.spans.length = 0;
      const tracing = await tracingTo(options);
      const traceparent = leave(tracing, parent);
      await tracing.stop();
      assert.equal(collector.spans.length, count, JSON.stringify(options));
      assert.equal(traceparent.slice(-2), count === 1 ? "01" : "00");
    }
  });

  it("are missed in one line of the log when the collector does not take them", async () => {
    collector.status = 400;
    const tracing = await tracingTo({ sampler: "always_on" });
    leave(tracing);
    await tracing.stop();
    assert.deepEqual(
      lines.map(({ message }) => message),
      ["the collector does not accept spans: they are lost"],
    );
  });

  it("do not keep a process from stopping when no collector answers", async () => {
    const gone = await startCollector();
    await gone.stop();
    const tracing = await tracingTo({ endpoint: gone.url });
    leave(tracing);
    const from = performance.now();
    await tracing.stop();
    assert.ok(performance.now() - from < 8000, "an exporter alone goes on for ten seconds");
  });

  it("that the collector does not take are told once, by the code of the result", async () => {
    const results: ExportResult[] = [
      { code: ExportResultCode.FAILED },
      { code: ExportResultCode.FAILED, error: new Error("no") },
      { code: ExportResultCode.SUCCESS, error: new Error("partly") },
      { code: ExportResultCode.SUCCESS },
    ];
    const seen: ExportResult[] = [];
    const sink = new ReportingExporter({
      exporter: {
        export: (_spans, callback) => callback(results[seen.length] ?? assert.fail()),
        shutdown: () => Promise.resolve(),
      },
      success: ExportResultCode.SUCCESS,
      log,
    });
    const told: number[] = [];
    for (const _ of results) {
      sink.export([], (result) => seen.push(result));
      told.push(lines.length);
    }
    assert.deepEqual(seen, results);
    assert.deepEqual(told, [1, 1, 2, 2]);
    assert.deepEqual(
      lines.map(({ message }) => message),
      ["the collector does not accept spans: they are lost", "the collector accepts spans again"],
    );
    await sink.shutdown();
  });

  it("have usage by the names of the GenAI conventions", () => {
    assert.deepEqual(usageAttributes(undefined), {});
    const usage = usageAttributes({ promptTokens: 3, completionTokens: 4, reasoningTokens: 1 });
    assert.equal(usage["gen_ai.usage.input_tokens"], 3);
    assert.equal(usage["gen_ai.usage.output_tokens"], 4);
  });
});
