import { Fault } from "../../core/fault.ts";
import type { RateLimits, UnitRequest } from "../../redis/access/rate-limits.ts";
import { RateSlice } from "./rate-slice.ts";
import type { RateLimit } from "./rate-slice.ts";

/** Most limits whose news one call tells, besides those that requests wait for. */
const MOST_NEWS = 100;

/** Units of one limit for one request. */
export interface Portion {
  readonly slice: RateSlice;
  readonly units: number;
}

/** A request that waits for Redis. */
interface Waiting {
  readonly portions: readonly Portion[];
  readonly settled: PromiseWithResolvers<void>;
}

export interface SliceHost {
  readonly rates: Pick<RateLimits, "lease" | "ready">;
  /** Ms, monotonic. */
  readonly mono: () => number;
  /** Called for each call to Redis. */
  readonly onCall: () => void;
}

/**
 * The slices of one tenant and its keys. One call at a time asks Redis for all requests that wait. Requests that come
 * meanwhile share the next.
 */
export class TenantSlices {
  readonly #name: string;
  readonly #host: SliceHost;
  readonly #slices = new Map<string, RateSlice>();
  #waiting: Waiting[] = [];
  #isCalling = false;
  #calls: Promise<void> = Promise.resolve();
  #calledAt = 0;

  constructor(name: string, host: SliceHost) {
    this.#name = name;
    this.#host = host;
  }

  get isEmpty(): boolean {
    return this.#slices.size === 0;
  }

  /** The slice of a limit as it is now. */
  sliceOf(limit: RateLimit): RateSlice {
    const known = this.#slices.get(limit.field);
    if (known !== undefined) {
      known.adopt(limit);
      return known;
    }
    const slice = new RateSlice(limit);
    this.#slices.set(limit.field, slice);
    return slice;
  }

  find({ field }: RateLimit): RateSlice | undefined {
    return this.#slices.get(field);
  }

  /**
   * Takes all portions or none: at once when the slices have them, else after a call.
   * @throws or rejects with Fault `rate_limited` or `redis_down`
   */
  take(portions: readonly Portion[]): Promise<void> | undefined {
    const now = this.#host.mono();
    const missing = portions.filter(({ slice, units }) => !slice.has(units, now));
    if (missing.length === 0) {
      // A debt is told at once: other gateways must not grant what is owed.
      if (takeAll(portions, now)) this.#call();
      return undefined;
    }
    const refused = missing.filter(({ slice, units }) => slice.isRefused(units, now));
    if (refused.length > 0) throw longest(refused.map(({ slice, units }) => slice.refusal(units, now)));
    if (!this.#host.rates.ready) throw new Fault("redis_down", "Redis is not connected");
    const settled = Promise.withResolvers<void>();
    this.#waiting.push({ portions, settled });
    this.#call();
    return settled.promise;
  }

  /** Tells Redis the news that no call has told for this long, ms. */
  tellNews(afterMs: number): void {
    const now = this.#host.mono();
    if (this.#isCalling || now - this.#calledAt < afterMs || !this.#host.rates.ready) return;
    if (this.#slices.values().some((slice) => slice.hasNews(now))) this.#call();
  }

  /** Gives back all units. Resolves when Redis has them; never rejects. */
  async giveBack(): Promise<void> {
    await this.#calls;
    for (const slice of this.#slices.values()) slice.keepOnly(0);
    for (let told = 0; told < this.#slices.size; told += MOST_NEWS) {
      if (!this.#host.rates.ready || this.#slices.values().every((slice) => slice.isEmpty)) return;
      this.#call();
      await this.#calls;
    }
  }

  /** Forgets slices that were not used since then. */
  forget(since: number): void {
    for (const [field, slice] of this.#slices) if (slice.isIdle(since)) this.#slices.delete(field);
  }

  #call(): void {
    if (this.#isCalling) return;
    this.#isCalling = true;
    this.#calls = this.#callAll();
  }

  async #callAll(): Promise<void> {
    let isUrgent = true;
    while (isUrgent || this.#waiting.length > 0) {
      const waiting = this.#waiting;
      this.#waiting = [];
      isUrgent = await this.#callOnce(waiting);
    }
    // No request may come between the last look and this.
    this.#isCalling = false;
  }

  /** Returns true when another call should follow at once. */
  async #callOnce(waiting: readonly Waiting[]): Promise<boolean> {
    const { rates, mono, onCall } = this.#host;
    const sent = mono();
    const requests = this.#requestsFor(waiting, sent);
    this.#calledAt = sent;
    onCall();
    try {
      const granted = await rates.lease(
        this.#name,
        requests.map(([, request]) => request),
      );
      const now = mono();
      for (const [index, [slice]] of requests.entries()) {
        const units = granted[index];
        if (units !== undefined) slice.grant(units, { sent, now });
      }
      const owes = serve(waiting, now);
      const spare = requests.map(([slice, { need }], index) =>
        slice.keepOnly(Math.max(0, (granted[index]?.granted ?? 0) - need)),
      );
      return owes || spare.includes(true);
    } catch (error) {
      for (const [slice, request] of requests) slice.lose(request);
      for (const { settled } of waiting) settled.reject(error);
      return false;
    }
  }

  #requestsFor(waiting: readonly Waiting[], now: number): readonly (readonly [RateSlice, UnitRequest])[] {
    const needs = new Map<RateSlice, number>();
    for (const { portions } of waiting) {
      for (const { slice, units } of portions) {
        if (units > 0) needs.set(slice, (needs.get(slice) ?? 0) + slice.needOf(units));
      }
    }
    let news = 0;
    for (const slice of this.#slices.values()) {
      if (news === MOST_NEWS) break;
      if (needs.has(slice) || !slice.hasNews(now)) continue;
      needs.set(slice, 0);
      news += 1;
    }
    return Array.from(needs, ([slice, need]) => [slice, slice.request(need)] as const);
  }
}

/**
 * Serves requests in the order in which they came. One that finds too little leaves its portions to the next.
 * @returns true when one was larger than a burst
 */
function serve(waiting: readonly Waiting[], now: number): boolean {
  let owes = false;
  for (const { portions, settled } of waiting) {
    const missing = portions.filter(({ slice, units }) => !slice.hasGranted(units));
    if (missing.length === 0) {
      owes = takeAll(portions, now) || owes;
      settled.resolve();
    } else {
      settled.reject(longest(missing.map(({ slice, units }) => slice.refuse(units, now))));
    }
  }
  return owes;
}

/** Returns true when a debt is left. */
function takeAll(portions: readonly Portion[], now: number): boolean {
  let owes = false;
  for (const { slice, units } of portions) owes = slice.take(units, now) || owes;
  return owes;
}

/** The refusal with the longest wait: before, the request would be refused again. */
function longest(faults: readonly Fault[]): Fault {
  return faults.reduce((one, other) => ((one.retryAfter ?? 0) < (other.retryAfter ?? 0) ? other : one));
}
