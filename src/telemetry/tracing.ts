import type { Attributes, Span, SpanContext, SpanStatusCode, Tracer } from "@opentelemetry/api";
import type * as Api from "@opentelemetry/api";
import type * as Core from "@opentelemetry/core";
import type { ExportResult, ExportResultCode } from "@opentelemetry/core";
import type * as Exporter from "@opentelemetry/exporter-trace-otlp-http";
import type * as Resources from "@opentelemetry/resources";
import type * as Trace from "@opentelemetry/sdk-trace";
import type { ReadableSpan, Sampler, SpanExporter } from "@opentelemetry/sdk-trace";
import type { KeyNames } from "../core/access/key-names.ts";
import { Fault } from "../core/fault.ts";
import type { Usage } from "../core/usage.ts";
import { trimEnd } from "../core/trim-end.ts";
import type { Log } from "./log.ts";

/** OpenTelemetry spans. The SDK is loaded only when spans are enabled: without a collector, nothing here has a cost. */

export interface TracingOptions {
  /** URL of the collector, without `/v1/traces`. */
  readonly endpoint: string;
  /** `name=value,…`, values percent-encoded. */
  readonly headers: string;
  readonly service: string;
  readonly version: string;
  /** A value of OTEL_TRACES_SAMPLER. */
  readonly sampler: string;
  readonly ratio: number;
  readonly log: Log;
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanPlan {
  readonly name: string;
  readonly kind: "internal" | "server" | "client" | "consumer";
  /** Traceparent of the parent span; empty begins a trace. */
  readonly parent: string;
  /** Ms, monotonic. */
  readonly at: number;
  /** Undefined ones are left out. */
  readonly attributes: SpanAttributes;
}

export interface SpanEnd {
  /** Ms, monotonic. */
  readonly at: number;
  readonly attributes?: SpanAttributes;
  /** Description of the failure; absent on success. */
  readonly error?: string | undefined;
}

export interface OpenSpan {
  /** Traceparent for child spans, in this process or another. */
  readonly traceparent: string;
  end(end: SpanEnd): void;
}

export interface Tracing {
  begin(plan: SpanPlan): OpenSpan;
  /** Sends the gathered spans, within two seconds. */
  stop(): Promise<void>;
}

const STOP_MS = 2000;

/** Rejects with an `internal` fault, a sentence for people, when the SDK is not installed. */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  const { api, core, sdk, exporter, resources } = await loadSdk();
  const url = `${trimEnd(options.endpoint, "/")}/v1/traces`;
  const headers = headersOf(options.headers);
  const sink = new ReportingExporter({
    exporter: new exporter.OTLPTraceExporter({ url, headers }),
    success: core.ExportResultCode.SUCCESS,
    log: options.log,
  });
  const provider = new sdk.TracerProvider({
    resource: resources.detectResources({ detectors: [resources.envDetector, resources.hostDetector] }).merge(
      resources.resourceFromAttributes({
        "service.name": options.service,
        "service.version": options.version,
        "process.pid": process.pid,
      }),
    ),
    sampler: samplerOf(sdk, options),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter: sink })],
  });
  return new SdkTracing(api, provider.getTracer("stargazer", options.version), () => provider.shutdown());
}

interface Sdk {
  readonly api: typeof Api;
  readonly core: typeof Core;
  readonly sdk: typeof Trace;
  readonly exporter: typeof Exporter;
  readonly resources: typeof Resources;
}

async function loadSdk(): Promise<Sdk> {
  try {
    const [api, core, sdk, exporter, resources] = await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/core"),
      import("@opentelemetry/sdk-trace"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
    ]);
    return { api, core, sdk, exporter, resources };
  } catch (cause) {
    throw new Fault(
      "internal",
      "Spans need the optional packages of OpenTelemetry, which are not installed: run make install (npm ci) again, without --omit=optional, or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
      { cause },
    );
  }
}

function samplerOf(sdk: Sdk["sdk"], { sampler, ratio }: TracingOptions): Sampler {
  const name = sampler.replace("parentbased_", "");
  const root =
    name === "traceidratio"
      ? new sdk.TraceIdRatioBasedSampler(ratio)
      : name === "always_off"
        ? new sdk.AlwaysOffSampler()
        : new sdk.AlwaysOnSampler();
  return name === sampler ? root : new sdk.ParentBasedSampler({ root });
}

function headersOf(list: string): Record<string, string> {
  const pairs = list.split(",").flatMap((item) => {
    const at = item.indexOf("=");
    return at < 1 ? [] : [[item.slice(0, at).trim(), decoded(item.slice(at + 1).trim())] as const];
  });
  return Object.fromEntries(pairs);
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Logs once when the collector stops accepting spans, and once when it accepts them again. */
export class ReportingExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #success: ExportResultCode;
  readonly #log: Log;
  #isHealthy = true;

  /** @param options.success the result code of success: a failure may come without an error */
  constructor(options: {
    readonly exporter: SpanExporter;
    readonly success: ExportResultCode;
    readonly log: Log;
  }) {
    this.#exporter = options.exporter;
    this.#success = options.success;
    this.#log = options.log;
  }

  export(spans: ReadableSpan[], callback: (result: ExportResult) => void): void {
    this.#exporter.export(spans, (result) => {
      const isHealthy = result.code === this.#success;
      if (isHealthy !== this.#isHealthy) this.#report(isHealthy, result.error);
      this.#isHealthy = isHealthy;
      callback(result);
    });
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  #report(isHealthy: boolean, error: Error | undefined): void {
    if (isHealthy) this.#log.info("the collector accepts spans again");
    else this.#log.warn("the collector does not accept spans: they are lost", { reason: error?.message });
  }
}

class SdkTracing implements Tracing {
  readonly #api: Sdk["api"];
  readonly #tracer: Tracer;
  readonly #shutdown: () => Promise<void>;

  constructor(api: Sdk["api"], tracer: Tracer, shutdown: () => Promise<void>) {
    this.#api = api;
    this.#tracer = tracer;
    this.#shutdown = shutdown;
  }

  begin({ name, kind, parent, at, attributes }: SpanPlan): OpenSpan {
    const { SpanKind, ROOT_CONTEXT, trace } = this.#api;
    const above = contextOf(parent);
    const context = above === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, above);
    const kinds = {
      internal: SpanKind.INTERNAL,
      server: SpanKind.SERVER,
      client: SpanKind.CLIENT,
      consumer: SpanKind.CONSUMER,
    };
    const began = { mono: at, wall: wall(at) };
    const options = { kind: kinds[kind], startTime: began.wall, attributes: { ...attributes } as Attributes };
    const span = this.#tracer.startSpan(name, options, context);
    return new SdkSpan(span, began, this.#api.SpanStatusCode.ERROR);
  }

  async stop(): Promise<void> {
    const limit = Promise.withResolvers<void>();
    const timer = setTimeout(limit.resolve, STOP_MS);
    await Promise.race([this.#shutdown().catch(() => undefined), limit.promise]);
    clearTimeout(timer);
  }
}

class SdkSpan implements OpenSpan {
  readonly #span: Span;
  readonly #began: { readonly mono: number; readonly wall: number };
  readonly #errorStatus: SpanStatusCode;
  readonly traceparent: string;

  constructor(
    span: Span,
    began: { readonly mono: number; readonly wall: number },
    errorStatus: SpanStatusCode,
  ) {
    this.#span = span;
    this.#began = began;
    this.#errorStatus = errorStatus;
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceparent = `00-${traceId}-${spanId}-0${traceFlags & 1}`;
  }

  end({ at, attributes = {}, error }: SpanEnd): void {
    this.#span.setAttributes({ ...attributes });
    if (error !== undefined) this.#span.setStatus({ code: this.#errorStatus, message: error });
    // The duration is measured by the monotonic clock, since the wall clock may be set meanwhile.
    this.#span.end(this.#began.wall + (at - this.#began.mono));
  }
}

/** Converts monotonic ms to wall-clock ms. The offset is read now, since the wall clock can be corrected. */
function wall(mono: number): number {
  return Date.now() + (mono - performance.now());
}

function contextOf(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = traceparent.split("-");
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
}

/** The attributes of the client's key. Empty without a key. */
export function keyAttributes({ keyName, tenant }: KeyNames): SpanAttributes {
  return keyName === undefined ? {} : { "sgnet.key": keyName, "sgnet.tenant": tenant };
}

/** Token counts, as OpenTelemetry's GenAI conventions name them. */
export function usageAttributes(usage: Usage | undefined): SpanAttributes {
  if (usage === undefined) return {};
  return {
    "gen_ai.usage.input_tokens": usage.promptTokens,
    "gen_ai.usage.output_tokens": usage.completionTokens,
    "gen_ai.usage.cache_read.input_tokens": usage.cachedTokens,
    "gen_ai.usage.reasoning.output_tokens": usage.reasoningTokens,
  };
}
