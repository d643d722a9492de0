import type { Backend } from "../backends/backend.ts";
import { isErrand } from "../core/errand.ts";
import { queueWords } from "../core/ability.ts";
import { operationOf } from "../core/trace.ts";
import type { Usage } from "../core/usage.ts";
import { usageAttributes } from "../telemetry/tracing.ts";
import type { OpenSpan, SpanAttributes, Tracing } from "../telemetry/tracing.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Attempt } from "./attempt.ts";

/** Stops from outside: nothing of ours went wrong. */
const CALM: ReadonlySet<string> = new Set(["ok", "cancelled"]);

export interface AttemptSpansOptions {
  readonly tracing: Tracing;
  readonly worker: string;
  /** Ms, monotonic. */
  readonly mono: () => number;
}

/** The worker's spans of an attempt: the attempt itself, from the claim on, and below it the call of the backend. */
export class AttemptSpans {
  /** Traceparent for the backend. */
  readonly trace: string;
  readonly #attempt: Attempt;
  readonly #mono: () => number;
  readonly #whole: OpenSpan;
  readonly #call: OpenSpan;

  constructor(options: AttemptSpansOptions, attempt: Attempt, asked: AskedOf) {
    const { tracing, worker, mono } = options;
    const { envelope } = asked;
    this.#attempt = attempt;
    this.#mono = mono;
    this.#whole = tracing.begin({
      name: `process ${queueWords(attempt.model)}`,
      kind: "consumer",
      parent: envelope.trace,
      at: attempt.startedAt,
      attributes: {
        "messaging.system": "redis",
        "messaging.operation.type": "process",
        "messaging.destination.name": queueWords(attempt.model),
        "sgnet.task": envelope.id,
        "sgnet.request": envelope.requestId,
        "sgnet.worker": worker,
        "sgnet.deliveries": attempt.deliveries,
      },
    });
    this.#call = tracing.begin({
      name: nameOf(asked),
      kind: "client",
      parent: this.#whole.traceparent,
      at: mono(),
      attributes: callAttributes(asked),
    });
    this.trace = this.#call.traceparent;
  }

  /** @param code `ok` or a fault code */
  end(code: string, usage?: Usage): void {
    const { startedAt, outbox } = this.#attempt;
    const at = this.#mono();
    const { firstByteAt } = outbox;
    const failure = { "error.type": code === "ok" ? undefined : code };
    const error = CALM.has(code) ? undefined : code;
    this.#call.end({ at, error, attributes: { ...failure, ...usageAttributes(usage) } });
    const firstByteMs = firstByteAt === undefined ? undefined : firstByteAt - startedAt;
    this.#whole.end({ at, error, attributes: { ...failure, "sgnet.first_byte_ms": firstByteMs } });
  }
}

/** What a backend is asked. */
interface AskedOf {
  readonly envelope: TaskEnvelope;
  readonly backend: Pick<Backend, "kind" | "url">;
  /** The backend's own id of the model. */
  readonly model: string;
}

function nameOf({ envelope, model }: AskedOf): string {
  return `${operationOf(envelope.endpoint) ?? envelope.endpoint} ${model}`;
}

function callAttributes({ envelope, backend, model }: AskedOf): SpanAttributes {
  const { endpoint, stream } = envelope;
  if (isErrand(endpoint)) return { "sgnet.endpoint": endpoint, "sgnet.backend": model };
  return {
    "gen_ai.operation.name": operationOf(endpoint),
    "gen_ai.provider.name": backend.kind,
    "gen_ai.request.model": model,
    "gen_ai.request.stream": stream,
    ...serverOf(backend.url),
  };
}

/** @param url empty for the embedded model */
function serverOf(url: string): SpanAttributes {
  if (url === "") return {};
  const { hostname, port, protocol } = new URL(url);
  const usual = protocol === "https:" ? 443 : 80;
  return { "server.address": hostname, "server.port": port === "" ? usual : Number(port) };
}
