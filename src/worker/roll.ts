import { setTimeout as delay } from "node:timers/promises";
import { IdTable } from "../core/id-table.ts";
import { tagOf } from "../core/task.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { gatewaysAlive } from "../redis/registry.ts";
import { dropReplies } from "../redis/reply-stream.ts";
import { dropBody } from "../redis/body.ts";
import { HOLD_MS } from "../redis/control.ts";
import type { Attempt, StopReason } from "./attempt.ts";
import type { Trust } from "./trust.ts";

/** How long a gateway that was seen counts as alive, ms. */
const GATEWAY_TRUST_MS = 5000;

/** A cancel can overtake the claim it is for: cancels of unknown tasks are remembered this long, ms. */
const CANCEL_MEMORY_MS = 10_000;

export interface RollOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly mono: () => number;
  /** Whether what Redis shows of gateways may be believed. */
  readonly trust: Pick<Trust, "look">;
}

/** All attempts in this worker's hands, and who waits for them. */
export class Roll {
  readonly #options: RollOptions;
  readonly #attempts = new IdTable<Attempt>();
  /** Task id -> mono ms until which its cancel is remembered. */
  readonly #cancelled = new Map<string, number>();
  /** Gateway tag -> mono ms until which it counts as alive. */
  readonly #gateways = new Map<string, number>();
  /** Ends the wait for no attempt in hand. */
  #emptied: AbortController | undefined;

  constructor(options: RollOptions) {
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

  /** True when this very delivery of a task is in hand. */
  runs(task: string, entry: string): boolean {
    return this.#attempts.get(task)?.entry === entry;
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
    // One that was taken over has fenced the earlier by its CLAIM.
    earlier?.stop("fenced");
    if (this.#cancelled.size === 0 || !this.#cancelled.delete(attempt.id)) return true;
    attempt.stop("gone");
    return false;
  }

  remove(attempt: Attempt): void {
    if (this.#attempts.get(attempt.id) === attempt) this.#attempts.delete(attempt.id);
    if (this.#attempts.size === 0) this.#emptied?.abort();
  }

  /** A client has left. */
  cancel(task: string): void {
    const attempt = this.#attempts.get(task);
    if (attempt === undefined) this.#remember(task);
    else attempt.stop("gone");
  }

  /** Its client is behind: its backend is held back until it has caught up, or for {@link HOLD_MS}. */
  pause(task: string): void {
    this.#attempts.get(task)?.outbox.brake.hold(this.#options.mono() + HOLD_MS);
  }

  /** Its client has caught up. */
  resume(task: string): void {
    this.#attempts.get(task)?.outbox.brake.release();
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

  /** Looks whether the gateway of a task is alive, unless it was seen a moment ago. */
  checkGateway(tag: string): void {
    if ((this.#gateways.get(tag) ?? 0) > this.#options.mono()) return;
    this.#checkGateways([tag]).catch(() => undefined);
  }

  /** Looks at the gateways of all attempts in hand. */
  async checkAllGateways(): Promise<void> {
    const tags = new Set(this.all().map((attempt) => tagOf(attempt.id)));
    await this.#checkGateways([...tags]);
  }

  async #checkGateways(tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return;
    const alive = await gatewaysAlive(this.#options.connection, this.#options.keys, tags);
    const until = this.#options.mono() + GATEWAY_TRUST_MS;
    for (const tag of alive) this.#gateways.set(tag, until);
    const gone = tags.filter((tag) => !alive.has(tag));
    if (gone.length === 0 || !(await this.#options.trust.look())) return;
    for (const tag of gone) this.#gatewayGone(tag);
  }

  #gatewayGone(tag: string): void {
    this.#gateways.delete(tag);
    const { connection, keys } = this.#options;
    const attempts = this.all().filter((attempt) => tagOf(attempt.id) === tag);
    for (const attempt of attempts) {
      attempt.stop("gone");
      // Nobody else would, before the deadline.
      dropBody(connection, keys, attempt.id).catch(() => undefined);
    }
    if (attempts.length === 0) return;
    const tasks = attempts.map(({ id }) => id);
    dropReplies(connection, keys, tasks).catch(() => undefined);
  }

  #remember(task: string): void {
    const now = this.#options.mono();
    for (const [known, until] of this.#cancelled) {
      if (until > now) break;
      this.#cancelled.delete(known);
    }
    this.#cancelled.set(task, now + CANCEL_MEMORY_MS);
  }
}
