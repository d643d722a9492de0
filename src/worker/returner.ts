import { Fault } from "../core/fault.ts";
import { addNote } from "../redis/attempt-notes.ts";
import type { Connection } from "../redis/connection.ts";
import { publishSweep } from "../redis/control.ts";
import type { Keys } from "../redis/keys.ts";
import { handBack } from "../redis/task-stream.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { Attempt } from "./attempt.ts";
import { noteOf } from "./blame.ts";
import type { Peers } from "./peers.ts";
import type { Resting } from "./resting.ts";
import type { Station } from "./station.ts";

/** A backend that cannot be reached, answers 5xx, breaks off, or takes too long. */
type Failure = "unreachable" | "failing" | "broken-off" | "timed-out";

/**
 * Why a task is handed back. `busy` (429, 503) is no failure of the backend; `shut`: its gate was shut, or the slot for
 * it lent, when the task came; `draining`: the worker leaves.
 */
export type ReturnReason = Failure | "busy" | "shut" | "draining";

const FAILURES: ReadonlySet<ReturnReason> = new Set<Failure>([
  "unreachable",
  "failing",
  "broken-off",
  "timed-out",
]);

const LEAVING = new Fault("draining", "the worker leaves", { blame: "worker" });

/** A station leaves a task that it failed with to others for this long, when there are others; ms. */
const ELSEWHERE_MS = 20_000;

/** When there are none, and after busy answers, it rests for so long, doubled with each attempt; ms. */
const REST_MIN_MS = 250;
const REST_MAX_MS = 10_000;

/** What got an answer like 5xx, or none in time, may itself be the cause: it is run once more, elsewhere. */
const FAILING_DELIVERIES = 2;

/** A longer Retry-After is not believed, ms. */
const MOST_ASKED_MS = 60_000;

export interface ReturnerOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly deliveryLimit: number;
  /** Most attempts of a task when backends are busy. */
  readonly busyLimit: number;
  readonly mono: () => number;
  readonly random: () => number;
  readonly metrics: Pick<WorkerMetrics, "handedBack">;
  readonly peers: Pick<Peers, "serve">;
  readonly resting: Resting;
}

/**
 * The reason to run a task again whose attempt failed before its answer began; undefined for what is final: what is put
 * down to the request, or to its client, would be met elsewhere, too.
 */
export function returnReasonOf(fault: Fault): ReturnReason | undefined {
  const { code, http, blame } = fault;
  if (blame === "request" || blame === "client") return undefined;
  if (code === "backend_busy") return "busy";
  if (code === "backend_unreachable" || code === "connect_timeout") return "unreachable";
  if (code === "first_token_timeout" || code === "idle_timeout") return "timed-out";
  if (code === "backend_lost") return "broken-off";
  return code === "backend_error" && http >= 500 && http !== 501 ? "failing" : undefined;
}

/** Hands tasks back: to other workers first, to this one after a rest. */
export class Returner {
  readonly #options: ReturnerOptions;

  constructor(options: ReturnerOptions) {
    this.#options = options;
  }

  /** False when a task has been tried often enough: what the last attempt met is then told to the client. */
  allows(attempt: Attempt, reason: ReturnReason): boolean {
    const { deliveryLimit, busyLimit } = this.#options;
    const { deliveries, ordinal } = attempt;
    if (reason === "draining" || reason === "shut") return true;
    if (reason === "busy") return ordinal < busyLimit;
    if (reason === "unreachable") return deliveries < deliveryLimit;
    return deliveries < Math.min(FAILING_DELIVERIES, deliveryLimit);
  }

  /** Hands an attempt back because its worker leaves: it is not its fault, and does not count as a delivery. */
  leave(station: Station, attempt: Attempt): void {
    attempt.outbox.close("fenced");
    this.#send(station, attempt, "draining", LEAVING);
  }

  /**
   * Hands an attempt back that met `fault`. Resolves with false when nobody else could run it, and this station should
   * not run it again, or could only after its deadline.
   */
  async retry(station: Station, attempt: Attempt, reason: ReturnReason, fault: Fault): Promise<boolean> {
    const { peers, resting, mono } = this.#options;
    const { model, endsAt } = attempt;
    const elsewhere = await peers.serve(model, station);
    const restMs = this.#restMs(attempt, { reason, fault, elsewhere });
    const here = (reason === "busy" || reason === "unreachable") && mono() + restMs < endsAt;
    if (!elsewhere && !here) return false;
    // It may have been cancelled or fenced meanwhile.
    if (attempt.stopReason !== undefined && attempt.stopReason !== "draining") return true;
    resting.add(attempt, station, restMs);
    attempt.outbox.close("fenced");
    this.#send(station, attempt, reason, fault);
    return true;
  }

  /**
   * Hands a first delivery back that was claimed when the gate was open and came when it was shut, or when a slot was
   * free and came when it was lent. It counts as no delivery. The next CLAIM takes it for an attempt, but who takes it
   * over has its place before that: so this happens once in the life of a task.
   */
  turnAway(station: Station, task: Claimed): void {
    this.#options.resting.add(task, station, REST_MIN_MS);
    this.#send(station, task, "shut");
  }

  #restMs(
    { ordinal }: Attempt,
    why: { readonly reason: ReturnReason; readonly fault: Fault; readonly elsewhere: boolean },
  ): number {
    const { reason, fault, elsewhere } = why;
    if (elsewhere && reason !== "busy") return ELSEWHERE_MS;
    const grown =
      Math.min(REST_MAX_MS, REST_MIN_MS * 2 ** (ordinal - 1)) * (0.75 + this.#options.random() / 2);
    return Math.max(grown, Math.min(MOST_ASKED_MS, 1000 * (fault.askedToWait ?? 0)));
  }

  /** @param fault what it met; absent for what was not run */
  #send(station: Station, task: Attempt | Claimed, reason: ReturnReason, fault?: Fault): void {
    const back = this.#handBack(task, reason);
    // With Redis away the lease runs out by itself.
    back
      .then((isBack) => {
        if (!isBack) return;
        // Keeps this order, on one connection: the worker that is woken finds the note.
        if (fault !== undefined && "id" in task) this.#note(station, task, fault);
        this.#options.metrics.handedBack(station.backend.name, reason);
        return publishSweep(this.#options.connection, this.#options.keys, task.model);
      })
      .catch(() => undefined);
  }

  #note({ backend }: Station, attempt: Attempt, fault: Fault): void {
    const { connection, keys, worker, mono } = this.#options;
    const where = { worker, backend: backend.name };
    const note = noteOf(fault, attempt, where, mono() - attempt.startedAt);
    const { id: task, outbox } = attempt;
    addNote(connection, keys, { task, attempt: outbox.attempt, note }).catch(() => undefined);
  }

  /** Resolves with false when this worker was frozen beyond its lease: the task is another's, who needs no hint. */
  async #handBack(task: Claimed, reason: ReturnReason): Promise<boolean> {
    const { connection, keys, worker: consumer } = this.#options;
    const { model, entry } = task;
    const deliveries = FAILURES.has(reason) ? task.deliveries : task.deliveries - 1;
    return handBack(connection, keys, { model, entry, consumer, deliveries });
  }
}

/** A task in this worker's hands. */
interface Claimed {
  readonly model: string;
  readonly entry: string;
  readonly deliveries: number;
}
