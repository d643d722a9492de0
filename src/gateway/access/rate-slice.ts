import type { Rate } from "../../core/access/key-limits.ts";
import { Fault } from "../../core/fault.ts";
import type { GrantedUnits, UnitRequest } from "../../redis/access/rate-limits.ts";
import type { LimitState } from "./limit-check.ts";

/** A rate of a key or a tenant. */
export interface RateLimit {
  /** Its name in Redis, within its tenant. */
  readonly field: string;
  readonly rate: Rate;
  readonly perMinute: number;
  readonly burst: number;
  /** Its owner in the words of a message. */
  readonly owner: string;
}

/** A slice is what its gateway uses within this time, as a part of a second. */
const SLICE_SECONDS = 0.25;
/** Most of a burst that one slice has. */
const SLICE_SHARE = 1 / 8;
/** Time until an unused slice is given back, ms. */
const HOLD_MS = 500;
/** Time over which the own use is averaged, ms. */
const PACE_MS = 1000;
/** Bounds of the time without another call after a refusal, ms. */
const BACKOFF_MS = { least: 5, most: 250 };
/** A request of more than a burst needs this part of it. The rest is a debt. */
const LARGE_SHARE = 1 / 2;

/** The words for each rate: in headers and in messages. */
const RATE_WORDS = {
  rpm: { limit: "requests", unit: "requests" },
  itpm: { limit: "inputTokens", unit: "input tokens" },
  otpm: { limit: "outputTokens", unit: "output tokens" },
} as const satisfies Record<Rate, { readonly limit: LimitState["limit"]; readonly unit: string }>;

/**
 * The part of one rate limit that this gateway may use without asking Redis. It also keeps what is known of the rest.
 *
 * Units come from one call only: the next call gives back what is left. So all units of a slice have the same age. All
 * times are ms of one monotonic clock. A slice is timed from the moment before its call, so Redis has granted it later.
 */
export class RateSlice {
  #limit: RateLimit;
  #units = 0;
  /** Time at which the units must be given back. */
  #until = 0;
  /** To tell Redis: units used beyond those taken, or to give back when negative. */
  #settle = 0;
  /** Units that the bucket lacked at the last answer, and its time. */
  #lack = 0;
  #lackAt = 0;
  /** Own use, units per second. */
  #pace = 0;
  #usedAt = 0;
  /** No call before this time for this many units or more: Redis has refused them. */
  #askAt = 0;
  #refused = Infinity;
  /** Charges that may still settle. */
  #open = 0;

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  get limit(): RateLimit {
    return this.#limit;
  }

  /** Takes over a changed limit. Its bucket stays as full as it was. */
  adopt(limit: RateLimit): void {
    if (limit === this.#limit) return;
    const { perMinute, burst } = this.#limit;
    this.#limit = limit;
    if (limit.perMinute === perMinute && limit.burst === burst) return;
    this.#drop(this.#units);
    this.#lack *= limit.burst / burst;
    this.#askAt = 0;
  }

  /** Units that a request must find free. */
  needOf(units: number): number {
    const { burst } = this.#limit;
    return units > burst ? Math.ceil(burst * LARGE_SHARE) : units;
  }

  /** True when a request of so many units needs no call. */
  has(units: number, now: number): boolean {
    return this.needOf(units) <= this.#usable(now);
  }

  /** True when Redis has just refused so many units. */
  isRefused(units: number, now: number): boolean {
    return now < this.#askAt && this.needOf(units) >= this.#refused;
  }

  /** True when the answer that has just come has granted so many units. */
  hasGranted(units: number): boolean {
    return this.needOf(units) <= this.#units;
  }

  /**
   * Uses units, which are there. Units beyond a burst become a debt, which the next call pays.
   * @returns true when there is a debt
   */
  take(units: number, now: number): boolean {
    const need = this.needOf(units);
    const decay = Math.exp((this.#usedAt - now) / PACE_MS);
    this.#pace = this.#pace * decay + (units / PACE_MS) * 1000;
    this.#usedAt = now;
    this.#units -= need;
    this.#settle += units - need;
    this.#open += 1;
    return need < units;
  }

  /** Ends a charge. @param more units used beyond those taken; below 0 to give some back */
  settle(more: number): void {
    this.#open -= 1;
    // Own units pay first: then no other gateway can use them meanwhile.
    const paid = Math.min(Math.max(0, more), this.#units);
    this.#units -= paid;
    this.#settle += more - paid;
  }

  /** True when the next call has something to tell of this slice. */
  hasNews(now: number): boolean {
    return this.#settle !== 0 || (this.#units > 0 && now >= this.#until);
  }

  /** True when Redis owns all units again, or will after the next call. */
  get isEmpty(): boolean {
    return this.#units === 0 && this.#settle === 0;
  }

  /** True when nothing would be lost with it but knowledge. */
  isIdle(since: number): boolean {
    return this.#open === 0 && this.isEmpty && this.#usedAt < since;
  }

  /** Builds the next call, which gives back the units that are left. @param need units for requests that wait */
  request(need: number): UnitRequest {
    const { field, perMinute, burst } = this.#limit;
    const most = Math.max(1, Math.floor(burst * SLICE_SHARE));
    const slice = Math.min(most, Math.max(1, Math.floor(this.#pace * SLICE_SECONDS)));
    const settle = this.#settle - this.#units;
    this.#settle = 0;
    this.#units = 0;
    return {
      field,
      perMinute,
      burst,
      need,
      want: need === 0 ? 0 : Math.max(need, slice),
      holdMs: this.#holdMs,
      settle,
    };
  }

  /** @param times of the call and of its answer */
  grant(
    { granted, lack }: GrantedUnits,
    { sent, now }: { readonly sent: number; readonly now: number },
  ): void {
    this.#units += granted;
    this.#until = sent + this.#holdMs;
    this.#lack = lack;
    this.#lackAt = now;
  }

  /** The answer is lost. A debt is told again. Units that were given back may have arrived: they are not told again. */
  lose({ settle }: UnitRequest): void {
    this.#settle += Math.max(0, settle);
  }

  /**
   * Gives back what requests needed and did not use after all, since another limit refused them. Redis counts with a
   * slice that is kept, but not with these.
   * @returns true when there are any
   */
  keepOnly(units: number): boolean {
    const spare = this.#units - units;
    if (spare <= 0) return false;
    this.#drop(spare);
    return true;
  }

  /** Returns the fault of a request that found too few units. */
  refuse(units: number, now: number): Fault {
    const need = this.needOf(units);
    const wait = this.#waitMs(need, now);
    this.#refused = now < this.#askAt ? Math.min(this.#refused, need) : need;
    if (now >= this.#askAt) {
      this.#askAt = now + Math.min(BACKOFF_MS.most, Math.max(BACKOFF_MS.least, wait));
    }
    return this.refusal(units, now);
  }

  /** The same, of a slice that is not to be asked now. */
  refusal(units: number, now: number): Fault {
    const { owner, perMinute, rate } = this.#limit;
    // Whole ms, as a clock of a client has them.
    const wait = Math.max(1, Math.ceil(this.#waitMs(this.needOf(units), now) - 1e-6));
    const message = `${owner} has reached its limit of ${perMinute} ${RATE_WORDS[rate].unit} per minute`;
    return new Fault("rate_limited", message, { retryAfter: wait / 1000 });
  }

  state(now: number): LimitState {
    const { perMinute, burst, rate } = this.#limit;
    const level = this.#level(now);
    return {
      limit: RATE_WORDS[rate].limit,
      perMinute,
      remaining: Math.max(0, Math.min(burst, Math.floor(level + 1e-6))),
      resetMs: Math.max(0, (burst - level) / this.#perMs),
    };
  }

  get #perMs(): number {
    return this.#limit.perMinute / 60_000;
  }

  /** Shorter for a bucket that fills within seconds: a slice costs what comes back while it is out. */
  get #holdMs(): number {
    return Math.min(HOLD_MS, (this.#limit.burst * SLICE_SHARE) / this.#perMs);
  }

  #usable(now: number): number {
    return now < this.#until ? this.#units : 0;
  }

  #drop(units: number): void {
    this.#units -= units;
    this.#settle -= units;
  }

  /** The best guess of what is free in all. */
  #level(now: number): number {
    const { burst } = this.#limit;
    const lack = Math.max(0, this.#lack - (now - this.#lackAt) * this.#perMs);
    return Math.min(burst, burst - lack - this.#settle + this.#units);
  }

  #waitMs(need: number, now: number): number {
    return Math.max(0, need - this.#level(now)) / this.#perMs;
  }
}
