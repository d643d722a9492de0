import { onlyCounts } from "../../core/access/metering.ts";
import type { FaultCode } from "../../core/fault.ts";
import { attemptsOf } from "../../core/outcome.ts";
import type { Outcome } from "../../core/outcome.ts";
import { dialectOf } from "../../core/task.ts";
import type { Usage } from "../../core/usage.ts";
import type { Charge } from "../access/limit-check.ts";
import type { Exchange } from "./exchange.ts";
import { EVENT_BYTES } from "./streamed-tokens.ts";
import type { TaskObserver } from "./task-observer.ts";

const NO_TOKENS: Usage = { promptTokens: 0, completionTokens: 0 };

/** Time limits that pass while a model works. A client can set them as well, so its request keeps its estimate. */
const WORKED: ReadonlySet<FaultCode> = new Set<FaultCode>([
  "first_token_timeout",
  "idle_timeout",
  "deadline_exceeded",
]);

/** Statuses of a fleet that had no room for a task. */
const NO_ROOM: ReadonlySet<number> = new Set([429, 503]);

/** The parts of an exchange that decide on its charge. */
type Charged = Pick<Exchange, "attempts" | "tries" | "worker" | "holder" | "bytes"> & {
  readonly task: Pick<Exchange["task"], "id" | "endpoint" | "stream">;
};

/** Keeps what open tasks were charged, and settles or refunds it at their end, by {@link dueFor}. */
export class OpenCharges implements TaskObserver {
  readonly needsKey = true;
  readonly #charges = new Map<string, KeptCharge>();

  /** Number of open tasks that were charged. */
  get size(): number {
    return this.#charges.size;
  }

  /** Call before the task is accepted. @param inputTokens the estimate that it was charged */
  keep(task: string, charge: Charge, inputTokens: number): void {
    this.#charges.set(task, { charge, inputTokens });
  }

  ended(exchange: Charged, outcome: Outcome): void {
    const kept = this.#charges.get(exchange.task.id);
    if (kept === undefined) return;
    this.#charges.delete(exchange.task.id);
    const due = dueFor(exchange, outcome, kept.inputTokens);
    if (due === "nothing") kept.charge.refund();
    else kept.charge.settle(due === "estimate" ? undefined : due);
  }
}

interface KeptCharge {
  readonly charge: Charge;
  readonly inputTokens: number;
}

/** Tokens to pay beside the request; `estimate` where none were counted; `nothing`: the request is free as well. */
type Due = Usage | "estimate" | "nothing";

/**
 * The price of a task, by its end:
 *
 * - answered: the tokens that its worker counted, else the estimate
 * - refused by the fleet, which had no room, or no worker began: nothing
 * - failed before a byte of its answer: the request; at a time limit also the estimate, since the model worked
 * - broken off, or left by its client, within its answer: the tokens that the client got
 * - left by its client while it waited: the request; while a worker had it also the estimate
 */
function dueFor(exchange: Charged, outcome: Outcome, inputTokens: number): Due {
  const { end, fault, goneIn } = outcome;
  if (fault === undefined) return paid(exchange, end?.usage ?? "estimate");
  if (goneIn === "opening" || goneIn === "queued") return NO_TOKENS;
  if (exchange.bytes > 0) return paid(exchange, end?.usage ?? streamed(exchange, inputTokens));
  if (goneIn !== undefined) return paid(exchange, "estimate");
  if (!hasBegun(exchange, outcome) || NO_ROOM.has(fault.http)) return "nothing";
  return paid(exchange, end?.usage ?? (WORKED.has(fault.code) ? "estimate" : NO_TOKENS));
}

/** True when a worker had the task. */
function hasBegun(exchange: Charged, outcome: Outcome): boolean {
  return attemptsOf(exchange, outcome) > 0 || exchange.holder !== undefined;
}

/** Counting tokens uses none. */
function paid({ task }: Charged, due: Usage | "estimate"): Due {
  return onlyCounts(task.endpoint) ? NO_TOKENS : due;
}

/** Estimates the tokens of a part of an answer. */
function streamed({ task, bytes }: Charged, inputTokens: number): Usage | "estimate" {
  if (!task.stream) return "estimate";
  const completionTokens = Math.ceil(bytes / EVENT_BYTES[dialectOf(task.endpoint)]);
  return { promptTokens: inputTokens, completionTokens };
}
