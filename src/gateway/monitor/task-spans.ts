import { MANAGEMENT_ENDPOINTS, isManagementEndpoint } from "../../core/management-endpoint.ts";
import type { Task } from "../../core/task.ts";
import { operationOf } from "../../core/trace.ts";
import { TASK_ROUTES } from "../../protocols/dialects.ts";
import { keyAttributes, usageAttributes } from "../../telemetry/tracing.ts";
import type { OpenSpan, SpanPlan, Tracing } from "../../telemetry/tracing.ts";
import type { Exchange } from "../requests/exchange.ts";
import { attemptsOf, queueWaitMs } from "../../core/outcome.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { TaskObserver } from "../requests/task-observer.ts";

const PATHS: ReadonlyMap<string, string> = new Map(TASK_ROUTES.map(({ endpoint, path }) => [endpoint, path]));

/** The gateway's spans of a task: the request, from its acceptance to its end, and below it the wait in the queue. */
export class TaskSpans implements TaskObserver {
  readonly #tracing: Tracing;
  readonly #open = new Map<string, OpenSpan>();

  constructor(tracing: Tracing) {
    this.#tracing = tracing;
  }

  /** The task's worker continues the trace. */
  accepted(exchange: Exchange): void {
    const { task, startedAt } = exchange;
    const span = this.#tracing.begin(planOf(task, startedAt));
    this.#open.set(task.id, span);
    exchange.carryTrace(span.traceparent);
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    const { task, startedAt, model, worker } = exchange;
    const span = this.#open.get(task.id);
    if (span === undefined) return;
    this.#open.delete(task.id);
    const queueMs = queueWaitMs(task.stream, outcome);
    if (queueMs !== undefined) this.#queued(exchange, span, queueMs);
    const { fault, status, end, firstByteMs, totalMs } = outcome;
    const isOurs = fault !== undefined && fault.http >= 500;
    span.end({
      at: startedAt + totalMs,
      attributes: {
        "http.response.status_code": status,
        "error.type": fault?.code,
        "sgnet.model": model,
        "sgnet.worker": worker,
        "sgnet.attempts": attemptsOf(exchange, outcome),
        "sgnet.backend": outcome.end?.backend,
        "sgnet.cause": fault?.blame,
        "sgnet.first_byte_ms": firstByteMs,
        ...usageAttributes(end?.usage),
      },
      error: isOurs ? `${fault.code}: ${fault.message}` : undefined,
    });
  }

  /** @param queueMs from accepting the request to its claim */
  #queued({ model, startedAt }: Exchange, above: OpenSpan, queueMs: number): void {
    const wait = this.#tracing.begin({
      name: `queue ${model}`,
      kind: "internal",
      parent: above.traceparent,
      at: startedAt,
      attributes: { "messaging.system": "redis", "messaging.destination.name": model },
    });
    wait.end({ at: startedAt + queueMs });
  }
}

/** A management request is internal: several may serve one request of a client. */
function planOf(task: Task, at: number): SpanPlan {
  const { endpoint, trace: parent, id, requestId } = task;
  const ids = {
    "sgnet.task": id,
    "sgnet.request": requestId,
    "sgnet.endpoint": endpoint,
    ...keyAttributes(task),
  };
  if (isManagementEndpoint(endpoint)) {
    const { method, path } = MANAGEMENT_ENDPOINTS[endpoint];
    const attributes = { ...ids, "http.request.method": method, "url.path": path };
    return { name: endpoint, kind: "internal", parent, at, attributes };
  }
  const path = PATHS.get(endpoint) ?? "";
  const attributes = {
    ...ids,
    "http.request.method": "POST",
    "http.route": path,
    "url.path": path,
    "url.scheme": "http",
    "gen_ai.operation.name": operationOf(endpoint),
    "gen_ai.request.model": task.model,
    "gen_ai.request.stream": task.stream,
  };
  return { name: `POST ${path}`, kind: "server", parent, at, attributes };
}
