import type { TaskSummary } from "../core/summary.ts";
import type { Exchange, Outcome } from "./exchange.ts";
import type { Refusal } from "./intake.ts";
import type { Meter } from "./meter.ts";
import { attemptsOf, queueWaitMs } from "./reporter.ts";
import type { TaskLog } from "./task-log.ts";

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

  refused({ task, request, endpoint, model, at, fault }: Refusal): void {
    const outcome = { code: fault.code, status: fault.http, cause: fault.blame, totalMs: 0 };
    this.#log.add({ task, request, endpoint, model, at, ...outcome });
  }
}

/** A plain literal: spreading the members that are there would double the cost. JSON leaves undefined ones out. */
function summaryOf(exchange: Exchange, outcome: Outcome): TaskSummary {
  const { task } = exchange;
  const { end, fault } = outcome;
  return {
    task: task.id,
    request: task.requestId,
    endpoint: task.endpoint,
    model: exchange.model,
    at: task.createdAt,
    code: fault?.code ?? "ok",
    status: outcome.status,
    totalMs: tenths(outcome.totalMs),
    stream: task.stream,
    worker: exchange.worker,
    backend: end?.backend,
    attempts: attemptsOf(exchange, outcome),
    cause: fault?.blame,
    tries: exchange.tries.length === 0 ? undefined : exchange.tries,
    queuedMs: tenths(exchange.queuedMs),
    claimedMs: tenths(queueWaitMs(task.stream, outcome)),
    backendMs: tenths(end?.firstByteMs),
    firstByteMs: tenths(outcome.firstByteMs),
    leftIn: outcome.leftIn,
    promptTokens: end?.usage?.promptTokens,
    completionTokens: end?.usage?.completionTokens,
    bytes: exchange.bytes,
  };
}

function tenths<Ms extends number | undefined>(ms: Ms): Ms {
  return (ms === undefined ? undefined : Math.round(ms * 10) / 10) as Ms;
}
