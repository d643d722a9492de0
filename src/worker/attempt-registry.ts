import { setTimeout as delay } from "node:timers/promises";
import type { Ambient } from "../core/ambient.ts";
import { IdTable } from "../core/id-table.ts";
import { HOLD_MS } from "../redis/task-control.ts";
import type { Acknowledger } from "./acknowledger.ts";
import type { Attempt, StopReason } from "./attempt.ts";
import type { Verdict } from "./outbox.ts";

/** Time for which the cancel of an unknown task is remembered (ms): a cancel can overtake the claim that it is for. */
const CANCEL_MEMORY_MS = 10_000;

export interface AttemptRegistryOptions {
  readonly acknowledger: Pick<Acknowledger, "add">;
  readonly ambient: Pick<Ambient, "mono">;
}

/** All attempts of this worker, the tasks that it is taking over, and the cancels that came before their tasks. */
export class AttemptRegistry {
  readonly #options: AttemptRegistryOptions;
  readonly #attempts = new IdTable<Attempt>();
  /** Queue entries, with their models, that are being taken over. */
  readonly #reclaiming = new Set<string>();
  /** Task id -> mono ms until which its cancel is remembered. */
  readonly #cancelled = new Map<string, number>();
  /** Ends the wait for an empty registry. */
  #emptied: AbortController | undefined;

  constructor(options: AttemptRegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#attempts.size;
  }

  all(): Attempt[] {
    return this.#attempts.values();
  }

  has(model: string, entry: string): boolean {
    return this.all().some((attempt) => attempt.model === model && attempt.entry === entry);
  }

  /** True when this worker handles this very delivery of a task. */
  runs(task: string, entry: string): boolean {
    return this.#attempts.get(task)?.entry === entry;
  }

  /** Marks entries of a model as being taken over. Returns the function that ends it. */
  reclaim(model: string, entries: Iterable<string>): () => void {
    const marks = [...entries].map((entry) => `${model} ${entry}`);
    for (const mark of marks) this.#reclaiming.add(mark);
    return () => {
      for (const mark of marks) this.#reclaiming.delete(mark);
    };
  }

  /** True while an entry is being taken over: a delivery of it that was on the way must not run as well. */
  reclaims(model: string, entry: string): boolean {
    return this.#reclaiming.size > 0 && this.#reclaiming.has(`${model} ${entry}`);
  }

  /** Returns false when the task was cancelled already, or runs: the attempt is stopped and must not run. */
  add(attempt: Attempt): boolean {
    const earlier = this.#attempts.get(attempt.id);
    // It was queued again, as Redis had lost its entry.
    if (earlier !== undefined && earlier.stopReason === undefined && attempt.ordinal === 1) {
      attempt.stop("gone");
      return false;
    }
    this.#attempts.set(attempt.id, attempt);
    // The CLAIM of a task that was taken over has fenced the earlier attempt.
    earlier?.stop("fenced");
    if (this.#cancelled.size === 0 || !this.#cancelled.delete(attempt.id)) return true;
    attempt.stop("gone");
    return false;
  }

  /** Ends an attempt by the answer of Redis: accepted and gone are done, fenced belongs to another worker. */
  settle(attempt: Attempt, verdict: Verdict): void {
    const { id, model, entry, startedAt } = attempt;
    this.remove(attempt);
    if (verdict === "gone") attempt.stop("gone");
    if (verdict === "fenced") attempt.stop("fenced");
    else this.#options.acknowledger.add(model, entry, id, startedAt);
  }

  remove(attempt: Attempt): void {
    if (this.#attempts.get(attempt.id) === attempt) this.#attempts.delete(attempt.id);
    if (this.#attempts.size === 0) this.#emptied?.abort();
  }

  /** The client of a task is gone. */
  cancel(task: string): void {
    const attempt = this.#attempts.get(task);
    if (attempt === undefined) this.#remember(task);
    else attempt.stop("gone");
  }

  /** The client of a task is behind: its backend is paused until it has caught up, or for {@link HOLD_MS}. */
  pause(task: string): void {
    this.#attempts.get(task)?.outbox.backpressure.pause(this.#options.ambient.mono() + HOLD_MS);
  }

  /** The client of a task has caught up. */
  resume(task: string): void {
    this.#attempts.get(task)?.outbox.backpressure.resume();
  }

  stopAll(reason: StopReason): void {
    for (const attempt of this.all()) attempt.stop(reason);
  }

  /** Resolves when no attempt is left or after `limitMs`. */
  async empty(limitMs: number): Promise<void> {
    if (this.size === 0) return;
    this.#emptied = new AbortController();
    await delay(limitMs, undefined, { signal: this.#emptied.signal }).catch(() => undefined);
  }

  #remember(task: string): void {
    const now = this.#options.ambient.mono();
    for (const [known, until] of this.#cancelled) {
      if (until > now) break;
      this.#cancelled.delete(known);
    }
    this.#cancelled.set(task, now + CANCEL_MEMORY_MS);
  }
}
