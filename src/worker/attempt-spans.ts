import type { Backend } from "../backends/backend.ts";
import type { Ambient } from "../core/ambient.ts";
import { isManagementEndpoint } from "../core/management-endpoint.ts";
import { queueLabel } from "../core/ability.ts";
import { operationOf } from "../core/trace.ts";
import type { Usage } from "../core/usage.ts";
import { keyAttributes, usageAttributes } from "../telemetry/tracing.ts";
import type { OpenSpan, SpanAttributes, Tracing } from "../telemetry/tracing.ts";
import type { TaskEnvelope } from "../wire/task-codec.ts";
import type { Attempt } from "./attempt.ts";

/** Stops from outside are no errors. */
const CALM: ReadonlySet<string> = new Set(["ok", "cancelled"]);

export interface AttemptSpansOptions {
  readonly tracing: Tracing;
  readonly worker: string;
  readonly ambient: Pick<Ambient, "mono">;
}

/** The worker's spans of an attempt: the attempt itself, from the claim on, and below it the call of the backend. */
export class AttemptSpans {
  /** Traceparent for the backend. */
  readonly trace: string;
  readonly #attempt: Attempt;
  readonly #ambient: Pick<Ambient, "mono">;
  readonly #whole: OpenSpan;
  readonly #call: OpenSpan;

  /** @param model the backend's own id of the model */
  constructor(
    options: AttemptSpansOptions,
    attempt: Attempt,
    backend: Pick<Backend, "kind" | "url">,
    model: string,
  ) {
    const { tracing, worker, ambient } = options;
    const { envelope } = attempt;
    this.#attempt = attempt;
    this.#ambient = ambient;
    this.#whole = tracing.begin({
      name: `process ${queueLabel(attempt.model)}`,
      kind: "consumer",
      parent: envelope.trace,
      at: attempt.startedAt,
      attributes: {
        "messaging.system": "redis",
        "messaging.operation.type": "process",
        "messaging.destination.name": queueLabel(attempt.model),
        "sgnet.task": envelope.id,
        "sgnet.request": envelope.requestId,
        "sgnet.worker": worker,
        "sgnet.deliveries": attempt.deliveries,
        ...keyAttributes(envelope),
      },
    });
    this.#call = tracing.begin({
      name: `${operationOf(envelope.endpoint) ?? envelope.endpoint} ${model}`,
      kind: "client",
      parent: this.#whole.traceparent,
      at: ambient.mono(),
      attributes: callAttributes(envelope, backend, model),
    });
    this.trace = this.#call.traceparent;
  }

  /** Ends both spans. @param code `ok` or a fault code */
  end(code: string, usage?: Usage): void {
    const { startedAt, outbox } = this.#attempt;
    const at = this.#ambient.mono();
    const { firstByteAt } = outbox;
    const failure = { "error.type": code === "ok" ? undefined : code };
    const error = CALM.has(code) ? undefined : code;
    this.#call.end({ at, error, attributes: { ...failure, ...usageAttributes(usage) } });
    const firstByteMs = firstByteAt === undefined ? undefined : firstByteAt - startedAt;
    this.#whole.end({ at, error, attributes: { ...failure, "sgnet.first_byte_ms": firstByteMs } });
  }
}

function callAttributes(
  { endpoint, stream }: Pick<TaskEnvelope, "endpoint" | "stream">,
  backend: Pick<Backend, "kind" | "url">,
  model: string,
): SpanAttributes {
  if (isManagementEndpoint(endpoint)) return { "sgnet.endpoint": endpoint, "sgnet.backend": model };
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
