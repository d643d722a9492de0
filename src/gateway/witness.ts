import type { Fault } from "../core/fault.ts";
import type { TaskSummary } from "../core/summary.ts";
import type { Endpoint } from "../core/task.ts";
import type { Exchange, Outcome } from "./exchange.ts";
import type { Meter } from "./meter.ts";
import { queueWaitMs } from "./reporter.ts";
import type { TaskLog } from "./task-log.ts";

/** A request that was refused before it became a task. */
export interface Refusal {
  readonly task: string;
  readonly request: string;
  readonly endpoint: Endpoint;
  /** As the client wrote it; empty when the request was refused before it was read. */
  readonly model: string;
  /** Ms since 1970. */
  readonly at: number;
  readonly fault: Fault;
}

/** Of a model's name that nobody knows so much is kept, characters. */
const MOST_NAMED = 200;

/** Sees every request end, and remembers it for people: in the meter and in the log of tasks. */
export class Witness {
  readonly #meter: Meter;
  readonly #log: TaskLog;

  constructor(options: { meter: Meter; log: TaskLog }) {
    this.#meter = options.meter;
    this.#log = options.log;
  }

  ended(exchange: Exchange, outcome: Outcome): void {
    this.#meter.ended(exchange, outcome.end?.usage);
    this.#log.add(summaryOf(exchange, outcome));
  }

  refused({ fault, model, ...ids }: Refusal): void {
    const outcome = { code: fault.code, status: fault.http, totalMs: 0 };
    this.#log.add({ ...ids, model: model.slice(0, MOST_NAMED), ...outcome });
  }
}

/** Members without a value are undefined here and absent in JSON. */
function summaryOf(exchange: Exchange, outcome: Outcome): TaskSummary {
  const { task, worker, model, attempts, bytes, queuedMs } = exchange;
  const { end, fault, status, leftIn, firstByteMs, totalMs } = outcome;
  return {
    task: task.id,
    request: task.requestId,
    endpoint: task.endpoint,
    model,
    at: task.createdAt,
    code: fault?.code ?? "ok",
    status,
    totalMs: tenths(totalMs),
    stream: task.stream,
    attempts,
    bytes,
    ...optional("worker", worker),
    ...optional("leftIn", leftIn),
    ...optional("queuedMs", queuedMs, tenths),
    ...optional("claimedMs", queueWaitMs(task.stream, outcome), tenths),
    ...optional("backendMs", end?.firstByteMs, tenths),
    ...optional("firstByteMs", firstByteMs, tenths),
    ...optional("promptTokens", end?.usage?.promptTokens),
    ...optional("completionTokens", end?.usage?.completionTokens),
  };
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
  form: (value: Value) => Value = (it) => it,
): Partial<Record<Name, Value>> {
  return value === undefined ? {} : ({ [name]: form(value) } as Record<Name, Value>);
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}
