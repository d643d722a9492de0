import { readClocks } from "../redis/clock.ts";
import type { Connection } from "../redis/connection.ts";
import { refusalOf } from "../redis/refusal.ts";
import { ANNOUNCE_MS } from "../redis/registry.ts";
import type { Log } from "../telemetry/log.ts";

/** A jump of Redis's clock by less than this, ms, makes no lease and no announcement look old; nor does half a lease. */
const MOST_JUMP_MS = 3000;

export interface TrustOptions {
  /** The one that leases are kept on. */
  readonly connection: Connection;
  readonly mono: () => number;
  readonly leaseMs: number;
  /** How long after the start nothing is judged, ms. */
  readonly delayMs: number;
  readonly log: Pick<Log, "warn">;
}

/**
 * Whether what Redis shows of others may be believed. Leases and announcements live by the clock of Redis, and die
 * while those who renew them are well: when Redis was away, refuses what is written, stands still, and when its clock
 * is put forward.
 * For a while after that nobody is taken for silent, so that all can renew what they have.
 */
export class Trust {
  readonly #options: TrustOptions;
  #from: number;
  /** How far the clocks of Redis are ahead of the monotonic one at the most, ms, in ascending order. */
  #ahead: readonly number[] = [];
  /** The greatest of them when it was last known. */
  #most: number | undefined;
  /** Mono ms of the oldest question without an answer. */
  #askedAt: number | undefined;
  /** It is logged that Redis refuses to tell the time. */
  #told = false;

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#from = options.mono() + options.delayMs;
  }

  /** To be called after a reconnect: perhaps to another server, with another clock. */
  reconnected(): void {
    this.#ahead = [];
    this.#askedAt = undefined;
    this.#suspend(1.5 * this.#options.leaseMs);
  }

  /** To be called when a lease could not be renewed: nor could those of others, and all look old when they can be. */
  refused(): void {
    this.#suspend(1.5 * this.#options.leaseMs);
  }

  get holds(): boolean {
    const { mono } = this.#options;
    return mono() >= this.#from && (this.#askedAt === undefined || !this.isSlow(this.#askedAt));
  }

  /** True when Redis takes so long with what it was asked at `since` (mono ms) that renewals may be waiting, too. */
  isSlow(since: number): boolean {
    return this.#options.mono() - since > this.#options.leaseMs / 8;
  }

  /**
   * The wall clock of Redis, ms since 1970, at a moment of the monotonic one, as it was last seen. Workers' own may
   * differ by any amount; this one they share.
   */
  clock(mono: number): number {
    return mono + (this.#most ?? 0);
  }

  /**
   * Looks at the clock of Redis; to be called a few times in each lease, and after something was seen, before it is
   * acted upon. False when it must not be. Never rejects.
   */
  async look(): Promise<boolean> {
    const { connection, mono } = this.#options;
    const askedAt = mono();
    this.#askedAt ??= askedAt;
    try {
      const clocks = (await readClocks(connection)).toSorted((a, b) => a - b);
      this.#told = false;
      // Who waited for Redis as long renews what it holds with its next heartbeat.
      if (this.isSlow(askedAt)) this.#suspend(this.#options.leaseMs / 2);
      this.#compare(clocks, { askedAt, answeredAt: mono() });
    } catch (error) {
      this.#complain(error);
      return false;
    } finally {
      this.#askedAt = undefined;
    }
    return this.holds;
  }

  #compare(
    clocks: readonly number[],
    { askedAt, answeredAt }: { askedAt: number; answeredAt: number },
  ): void {
    const { leaseMs } = this.#options;
    const before = this.#ahead;
    this.#ahead = clocks.map((clock) => clock - askedAt);
    this.#most = this.#ahead.at(-1) ?? this.#most;
    const most = Math.min(MOST_JUMP_MS, leaseMs / 4);
    const jumped =
      before.length === clocks.length &&
      clocks.some((clock, index) => clock - answeredAt - (before[index] ?? 0) > most);
    // By then every lease has been renewed, and every process has announced itself.
    if (jumped) this.#suspend(Math.max(1.5 * leaseMs, 2 * ANNOUNCE_MS));
  }

  /** Somebody has to grant the right; of a Redis that is away others tell. */
  #complain(error: unknown): void {
    const reason = refusalOf(error);
    if (reason === undefined || this.#told) return;
    this.#told = true;
    this.#options.log.warn("Redis refuses TIME: no task of a lost worker is taken over", { reason });
  }

  #suspend(ms: number): void {
    this.#from = Math.max(this.#from, this.#options.mono() + ms);
  }
}
