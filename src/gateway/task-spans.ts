import { ERRANDS, isErrand } from "../core/errand.ts";
import type { Task } from "../core/task.ts";
import { operationOf } from "../core/trace.ts";
import { TASK_ROUTES } from "../protocols/catalogue.ts";
import { usageAttributes } from "../telemetry/tracing.ts";
import type { OpenSpan, SpanPlan, Tracing } from "../telemetry/tracing.ts";
import type { Exchange, Outcome } from "./exchange.ts";
import { attemptsOf } from "./reporter.ts";

const PATHS: ReadonlyMap<string, string> = new Map(TASK_ROUTES.map(({ endpoint, path }) => [endpoint, path]));

/** The gateway's spans of a task: the request, from its acceptance to its end, and below it the wait in the queue. */
export class TaskSpans {
  readonly #tracing: Tracing;
  readonly #mono: () => number;
  readonly #open = new Map<string, OpenSpan>();

  /** @param mono ms, monotonic */
  constructor(tracing: Tracing, mono: () => number) {
    this.#tracing = tracing;
    this.#mono = mono;
  }

  /** The task with the traceparent that its worker gets. */
  begin(task: Task): Task {
    const span = this.#tracing.begin(planOf(task, this.#mono()));
    this.#open.set(task.id, span);
    return { ...task, trace: span.traceparent };
  }

  /** @param queueMs from accepting the request to its claim; undefined when it did not come to that */
  ended(exchange: Exchange, outcome: Outcome, queueMs: number | undefined): void {
    const { task, startedAt, model, worker } = exchange;
    const span = this.#open.get(task.id);
    if (span === undefined) return;
    this.#open.delete(task.id);
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

/** An errand is this gateway's own: several may carry out one request. */
function planOf(task: Task, at: number): SpanPlan {
  const { endpoint, trace: parent, id, requestId } = task;
  const ids = { "sgnet.task": id, "sgnet.request": requestId, "sgnet.endpoint": endpoint };
  if (isErrand(endpoint)) {
    const { method, path } = ERRANDS[endpoint];
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
