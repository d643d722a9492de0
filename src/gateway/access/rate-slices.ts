import { RATES, burstOf } from "../../core/access/key-limits.ts";
import type { KeyLimits, Rate } from "../../core/access/key-limits.ts";
import type { Principal } from "../../core/access/principal.ts";
import type { Usage } from "../../core/usage.ts";
import type { Charge, LimitCheck, LimitRequest, LimitState } from "./limit-check.ts";
import type { RateLimit } from "./rate-slice.ts";
import { TenantSlices } from "./tenant-slices.ts";
import type { Portion, SliceHost } from "./tenant-slices.ts";

/** Interval at which slices that lie unused are looked for, ms. */
const UPKEEP_MS = 250;
/** Time until an unused slice is given back and a settlement is told without another call, ms. */
const TOLD_AFTER_MS = 1000;
/** Time until the slices of an unused key are forgotten, ms. */
const FORGET_MS = 60_000;

/**
 * The rates of keys and tenants. Redis counts them for all gateways. A gateway uses a slice of each, and asks Redis only
 * when a slice is used up: most requests need no round trip.
 */
export class RateSlices implements LimitCheck {
  readonly #host: SliceHost;
  readonly #tenants = new Map<string, TenantSlices>();
  /** The rates of records. A changed record is another object. */
  readonly #limits = new WeakMap<KeyLimits, readonly RateLimit[]>();
  #timer: NodeJS.Timeout | undefined;

  constructor(host: SliceHost) {
    this.#host = host;
  }

  /** Gives back all slices. Resolves when Redis has them, or cannot be reached. */
  async stop(): Promise<void> {
    this.#rest();
    await Promise.all(Array.from(this.#tenants.values(), async (tenant) => tenant.giveBack()));
  }

  /** Gives back slices that lie unused, and forgets those of keys that ask no more. */
  upkeep(): void {
    const since = this.#host.mono() - FORGET_MS;
    for (const [name, tenant] of this.#tenants) {
      tenant.tellNews(TOLD_AFTER_MS);
      tenant.forget(since);
      if (tenant.isEmpty) this.#tenants.delete(name);
    }
    if (this.#tenants.size === 0) this.#rest();
  }

  charge(request: LimitRequest): Charge | Promise<Charge> | undefined {
    const limits = this.#limitsOf(request.principal);
    if (limits.length === 0) return undefined;
    const tenant = this.#tenantOf(request.principal);
    const portions = limits.map((limit) => ({
      slice: tenant.sliceOf(limit),
      units: unitsOf(limit.rate, request),
    }));
    const taking = tenant.take(portions);
    const charge = new RateCharge(portions);
    return taking === undefined ? charge : taking.then(() => charge);
  }

  states(principal: Principal): readonly LimitState[] {
    const tenant = this.#tenants.get(principal.key?.tenant ?? "");
    if (tenant === undefined) return [];
    const now = this.#host.mono();
    const tightest = new Map<LimitState["limit"], LimitState>();
    for (const limit of this.#limitsOf(principal)) {
      const state = tenant.find(limit)?.state(now);
      if (state === undefined) continue;
      const other = tightest.get(state.limit);
      if (other === undefined || state.remaining < other.remaining) tightest.set(state.limit, state);
    }
    return [...tightest.values()];
  }

  #tenantOf({ key }: Principal): TenantSlices {
    const name = key?.tenant ?? "";
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    const tenant = new TenantSlices(name, this.#host);
    this.#tenants.set(name, tenant);
    this.#timer ??= setInterval(() => {
      this.upkeep();
    }, UPKEEP_MS).unref();
    return tenant;
  }

  /** Ends the upkeep, which runs only while a limit is in use. */
  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #limitsOf({ key, tenant }: Principal): readonly RateLimit[] {
    if (key === undefined) return NONE;
    const own = this.#limits.get(key) ?? this.#read(key, `${key.id}:`, `the key '${key.name}'`);
    if (tenant === undefined) return own;
    const shared = this.#limits.get(tenant) ?? this.#read(tenant, "", `the tenant '${tenant.name}'`);
    return shared.length === 0 ? own : [...own, ...shared];
  }

  #read(record: KeyLimits, prefix: string, owner: string): readonly RateLimit[] {
    const limits = RATES.flatMap((rate) => {
      const perMinute = record[rate];
      if (perMinute === undefined) return [];
      return [{ field: prefix + rate, rate, perMinute, burst: burstOf(record, rate), owner }];
    });
    this.#limits.set(record, limits);
    return limits;
  }
}

const NONE: readonly RateLimit[] = [];

/** The units that one request took of its rates. */
class RateCharge implements Charge {
  readonly #portions: readonly Portion[];

  constructor(portions: readonly Portion[]) {
    this.#portions = portions;
  }

  settle(usage: Usage | undefined): void {
    for (const { slice, units } of this.#portions) {
      slice.settle(usage === undefined ? 0 : realUnits(slice.limit.rate, usage) - units);
    }
  }

  refund(): void {
    for (const { slice, units } of this.#portions) slice.settle(-units);
  }
}

function unitsOf(rate: Rate, { inputTokens, outputTokens }: LimitRequest): number {
  if (rate === "rpm") return 1;
  return rate === "itpm" ? inputTokens : outputTokens;
}

function realUnits(rate: Rate, { promptTokens, completionTokens }: Usage): number {
  if (rate === "rpm") return 1;
  return rate === "itpm" ? promptTokens : completionTokens;
}
