import type { Ambient } from "../core/ambient.ts";
import { readClocks } from "../redis/inspect/clock.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { refusalOf } from "../redis/connection/refusal.ts";
import { ANNOUNCE_MS } from "../redis/registry.ts";
import type { Log } from "../telemetry/log.ts";

/** Largest jump of Redis's clock that is ignored (ms), beside a quarter of a lease: it makes no announcement look old. */
const MOST_JUMP_MS = 3000;

export interface LeaseJudgeOptions {
  /** The connection on which leases are renewed. */
  readonly connection: Connection;
  readonly ambient: Pick<Ambient, "mono">;
  readonly leaseMs: number;
  /** Time after the start in which no lease is judged (ms). */
  readonly delayMs: number;
  readonly log: Pick<Log, "warn">;
}

/**
 * Decides whether the leases and announcements of others in Redis may be believed. They live by the clock of Redis, and
 * can run out while their owners are well. That happens when Redis was away, refuses writes, stands still, or has its
 * clock put forward. For a while after that no worker counts as lost, so that all can renew.
 */
export class LeaseJudge {
  readonly #options: LeaseJudgeOptions;
  /** Mono ms from which leases are believed. */
  #from: number;
  /** Largest known lead of the clocks of Redis over the monotonic one (ms), in ascending order. */
  #ahead: readonly number[] = [];
  /** The greatest of them when it was last known. */
  #most: number | undefined;
  /** Mono ms of the oldest check without an answer. */
  #checkingSince: number | undefined;
  /** It is logged that Redis refuses TIME. */
  #isLogged = false;

  constructor(options: LeaseJudgeOptions) {
    this.#options = options;
    this.#from = options.ambient.mono() + options.delayMs;
  }

  /** To be called after a reconnect: perhaps to another server, with another clock. */
  reconnected(): void {
    this.#ahead = [];
    this.#checkingSince = undefined;
    this.#suspend(1.5 * this.#options.leaseMs);
  }

  /** To be called when a lease could not be renewed: the leases of others could not be either, and will all look old. */
  refused(): void {
    this.#suspend(1.5 * this.#options.leaseMs);
  }

  /** True when leases may be believed, as far as the last check showed. */
  get holds(): boolean {
    const { ambient } = this.#options;
    return (
      ambient.mono() >= this.#from &&
      (this.#checkingSince === undefined || !this.#isSlow(this.#checkingSince))
    );
  }

  /** Starts to time a command. Returns a function that says whether it took so long that renewals may be waiting, too. */
  stopwatch(): () => boolean {
    const since = this.#options.ambient.mono();
    return () => this.#isSlow(since);
  }

  #isSlow(since: number): boolean {
    return this.#options.ambient.mono() - since > this.#options.leaseMs / 8;
  }

  /**
   * Returns the wall clock of Redis, as it was last read (ms since 1970). The clocks of workers may differ by any
   * amount. All workers share this one. @param mono moment of the monotonic clock (ms)
   */
  clock(mono: number): number {
    return mono + (this.#most ?? 0);
  }

  /**
   * Reads the clock of Redis. Call this a few times in each lease, and again before acting on a lease that ran out.
   * Resolves with false when leases must not be believed. Never rejects.
   */
  async check(): Promise<boolean> {
    const { connection, ambient } = this.#options;
    const checkedAt = ambient.mono();
    this.#checkingSince ??= checkedAt;
    try {
      const clocks = (await readClocks(connection)).toSorted((a, b) => a - b);
      this.#isLogged = false;
      // A worker that waited for Redis as long renews its leases with its next renewal.
      if (this.#isSlow(checkedAt)) this.#suspend(this.#options.leaseMs / 2);
      this.#compare(clocks, { checkedAt, answeredAt: ambient.mono() });
    } catch (error) {
      this.#warn(error);
      return false;
    } finally {
      this.#checkingSince = undefined;
    }
    return this.holds;
  }

  #compare(
    clocks: readonly number[],
    { checkedAt, answeredAt }: { checkedAt: number; answeredAt: number },
  ): void {
    const { leaseMs } = this.#options;
    const before = this.#ahead;
    this.#ahead = clocks.map((clock) => clock - checkedAt);
    this.#most = this.#ahead.at(-1) ?? this.#most;
    const most = Math.min(MOST_JUMP_MS, leaseMs / 4);
    const jumped =
      before.length === clocks.length &&
      clocks.some((clock, index) => clock - answeredAt - (before[index] ?? 0) > most);
    // By then every lease has been renewed, and every process has announced itself.
    if (jumped) this.#suspend(Math.max(1.5 * leaseMs, 2 * ANNOUNCE_MS));
  }

  /** Logs a missing right once; a Redis that is away is logged by its connection. */
  #warn(error: unknown): void {
    const reason = refusalOf(error);
    if (reason === undefined || this.#isLogged) return;
    this.#isLogged = true;
    this.#options.log.warn("Redis refuses TIME: no task of a lost worker is taken over", { reason });
  }

  #suspend(ms: number): void {
    this.#from = Math.max(this.#from, this.#options.ambient.mono() + ms);
  }
}
