import { setImmediate as turn } from "node:timers/promises";
import { Fault, toFault } from "../../core/fault.ts";
import { outageCode } from "../../redis/connection/reply-error.ts";
import type { OpenSlotStore, SlotDemand, SlotGrant, SlotScope } from "../../redis/access/open-slots.ts";
import type { Charge } from "./limit-check.ts";
import { SLOT_LIFE_MS, OpenSlotPool } from "./open-slot-pool.ts";

/** Unused slots are kept for one to two of these, ms. */
const KEEP_MS = 1000;

/** Scopes of one call: it keeps Redis below a millisecond. */
const SCOPES_PER_CALL = 64;

/** Most requests of a tenant that wait for slots; more are refused at once. */
const MOST_WAITING = 1000;

/** Pauses before a request asks again, ms: slots that another gateway has just freed are on their way. */
const AGAIN_MS: readonly number[] = [20];

/** The same when another request of this gateway was quicker, though there is room. */
const AFTER_RACE_MS: readonly number[] = [0, 1, 5, 20];

/** The same after a wish: the other gateways return their unused slots within a few round trips. */
const AFTER_WISH_MS: readonly number[] = [5, 20, 80, 320];

/** A broken connection to a running Redis is made again within this, ms. */
const PATIENCE_MS = 1000;

export interface TenantSlotsOptions {
  readonly tag: string;
  readonly store: Pick<OpenSlotStore, "ask" | "wish">;
  readonly mono: () => number;
  /** Number of the next call of this gateway. */
  readonly nextCall: () => number;
}

/** A request that waits for slots. */
interface WaitingRequest {
  readonly pools: readonly OpenSlotPool[];
  readonly resolve: (charge: Charge) => void;
  readonly reject: (fault: Fault) => void;
  /** `new`: to be asked for, `asked`: by the call under way, `paused`: asks again soon. */
  state: "new" | "asked" | "paused";
  /** True once the connection broke while it waited. */
  isCut: boolean;
  /** Pauses that are left; undefined before the first call. */
  pauses: number[] | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** The open requests of one tenant at this gateway, by key and in sum. One call at a time asks for all. */
export class TenantSlots {
  readonly #options: TenantSlotsOptions;
  /** Key id -> pool; that of the tenant itself has the id "". */
  readonly #pools = new Map<string, OpenSlotPool>();
  /** Pools that may need a call. */
  readonly #touched = new Set<OpenSlotPool>();
  readonly #waiting = new Set<WaitingRequest>();
  #calls: Promise<void> | undefined;
  #keepTimer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: TenantSlotsOptions) {
    this.#options = options;
  }

  /**
   * Takes a slot of each scope. The promise waits for Redis.
   * @param scopes the bounded ones, each with its bound
   * @throws Fault `concurrency_limited`, also as a rejection
   */
  take(scopes: readonly { readonly scope: SlotScope; readonly most: number }[]): Charge | Promise<Charge> {
    const now = this.#options.mono();
    const pools = scopes.map(({ scope, most }) => this.#poolOf(scope, most, now));
    const full = pools.find((pool) => pool.isFull);
    if (full !== undefined) throw full.refusal(now);
    // Waiting requests have come first.
    if (this.#waiting.size === 0 && hasFree(pools, now)) return this.#charge(pools, now);
    if (this.#isStopped) throw stopping();
    if (this.#waiting.size >= MOST_WAITING) throw refusalOf(pools, now);
    return this.#wait(pools);
  }

  /**
   * States the truth to Redis, and forgets what is no longer used.
   * @param isDoubtful true when Redis may have lost the slots: the unused ones are given up
   * @returns true while there is anything left
   */
  renew(isDoubtful: boolean): boolean {
    const now = this.#options.mono();
    for (const [id, pool] of this.#pools) {
      if (isDoubtful) pool.doubt();
      if (pool.isHeld) this.#renewPool(pool);
      else if (pool.isForgotten(now)) this.#pools.delete(id);
    }
    this.#call();
    return this.#pools.size > 0;
  }

  /** Another gateway lacks slots: returns those that are unused here. */
  wished({ key = "" }: SlotScope): void {
    const pool = this.#pools.get(key);
    if (pool === undefined) return;
    pool.share(this.#options.mono());
    this.#touched.add(pool);
    this.#call();
  }

  /** Returns all slots but those of open requests, and refuses those that wait. Resolves when Redis has them. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#keepTimer);
    for (const request of this.#waiting) this.#reject(request, stopping());
    const now = this.#options.mono();
    for (const pool of this.#pools.values()) {
      pool.share(now);
      if (pool.isHeld) this.#renewPool(pool);
    }
    this.#call();
    await this.#calls;
  }

  #poolOf(scope: SlotScope, most: number, now: number): OpenSlotPool {
    const id = scope.key ?? "";
    let pool = this.#pools.get(id);
    if (pool === undefined) this.#pools.set(id, (pool = new OpenSlotPool(scope)));
    pool.limit(most, now);
    return pool;
  }

  #renewPool(pool: OpenSlotPool): void {
    pool.renew();
    this.#touched.add(pool);
  }

  #charge(pools: readonly OpenSlotPool[], now: number): Charge {
    for (const pool of pools) pool.take(now);
    let isOpen = true;
    const free = (tookMs: number | undefined): void => {
      if (!isOpen) return;
      isOpen = false;
      this.#free(pools, tookMs);
    };
    return {
      settle: () => {
        free(this.#options.mono() - now);
      },
      refund: () => {
        free(undefined);
      },
    };
  }

  #free(pools: readonly OpenSlotPool[], tookMs: number | undefined): void {
    const now = this.#options.mono();
    for (const pool of pools) pool.give(now, tookMs);
    this.#serve(now);
    this.#keep(pools, now);
    for (const pool of pools) if (pool.needsCall(now, 0)) this.#touched.add(pool);
    if (this.#touched.size > 0) this.#call();
  }

  #wait(pools: readonly OpenSlotPool[]): Promise<Charge> {
    const { promise, resolve, reject } = Promise.withResolvers<Charge>();
    this.#waiting.add({
      pools,
      resolve,
      reject,
      state: "new",
      isCut: false,
      pauses: undefined,
      timer: undefined,
    });
    this.#serve(this.#options.mono());
    for (const pool of pools) this.#touched.add(pool);
    this.#call();
    return promise;
  }

  /** Gives free slots to those that wait, the first first. */
  #serve(now: number): void {
    for (const request of this.#waiting) {
      if (!hasFree(request.pools, now)) continue;
      this.#leave(request);
      request.resolve(this.#charge(request.pools, now));
    }
  }

  /** Calls Redis at the end of this turn, and again until all is said: requests of one turn share a call. */
  #call(): void {
    this.#calls ??= this.#callAll();
  }

  async #callAll(): Promise<void> {
    try {
      await turn();
      for (let due = this.#due(); due.size > 0; due = this.#due()) if (!(await this.#ask(due))) return;
    } finally {
      // In the same moment as the last look at what is due: nothing that comes now is missed.
      this.#calls = undefined;
    }
  }

  /** Pools that need a call, with the free slots that requests wait for. */
  #due(): Map<OpenSlotPool, number> {
    const now = this.#options.mono();
    const needed = this.#needed();
    const due = new Map<OpenSlotPool, number>();
    for (const pool of this.#touched) {
      const slots = needed.get(pool) ?? 0;
      this.#touched.delete(pool);
      if (pool.needsCall(now, slots)) due.set(pool, slots);
      if (due.size === SCOPES_PER_CALL) break;
    }
    return due;
  }

  /** @returns false when Redis is away: the next renewal, or the reconnect, calls again */
  async #ask(due: ReadonlyMap<OpenSlotPool, number>): Promise<boolean> {
    const { tag, store, mono, nextCall } = this.#options;
    const sentAt = mono();
    const pools = [...due.keys()];
    const demands = pools.map((pool) => pool.demand(sentAt, due.get(pool) ?? 0));
    for (const request of this.#waiting) {
      // A pool that is still touched has its turn in the next call.
      const isAsked = !request.pools.some((pool) => this.#touched.has(pool));
      if (request.state === "new" && isAsked) request.state = "asked";
    }
    let grants: readonly SlotGrant[];
    try {
      grants = await store.ask({ tag, number: nextCall(), life: SLOT_LIFE_MS }, demands);
    } catch (error) {
      for (const pool of pools) this.#renewPool(pool);
      this.#cut(error);
      return false;
    }
    this.#answered(pools, demands, { grants, sentAt });
    return true;
  }

  #answered(
    pools: readonly OpenSlotPool[],
    demands: readonly SlotDemand[],
    { grants, sentAt }: { readonly grants: readonly SlotGrant[]; readonly sentAt: number },
  ): void {
    for (const [index, pool] of pools.entries()) {
      const [demand, grant] = [demands[index], grants[index]];
      if (demand === undefined || grant === undefined) continue;
      pool.answered(demand, grant, sentAt);
      this.#touched.add(pool);
    }
    const now = this.#options.mono();
    this.#serve(now);
    for (const request of this.#waiting) if (request.state === "asked") this.#denied(request, now);
    this.#keep(pools, now);
  }

  /** Requests that wait ask again when a broken connection is back in a moment. */
  #cut(error: unknown): void {
    const fault = toFault(error);
    const isBrief = fault.code === "redis_down" && outageCode(error) === "";
    for (const request of this.#waiting) {
      if (!isBrief) this.#reject(request, fault);
      else if (request.isCut) request.state = "new";
      else this.#expect(request, fault);
      for (const pool of request.pools) this.#touched.add(pool);
    }
  }

  #expect(request: WaitingRequest, fault: Fault): void {
    request.isCut = true;
    request.state = "new";
    clearTimeout(request.timer);
    request.timer = setTimeout(() => {
      this.#reject(request, fault);
    }, PATIENCE_MS);
  }

  /** Another gateway may have slots that it does not use, or has just freed. */
  #denied(request: WaitingRequest, now: number): void {
    const lacking = request.pools.filter((pool) => pool.free(now) === 0);
    const isFull = lacking.some((pool) => pool.isFull);
    if (!isFull) request.pauses ??= [...this.#pausesFor(lacking, now)];
    const pause = isFull ? undefined : request.pauses?.shift();
    if (pause === undefined) this.#reject(request, refusalOf(request.pools, now));
    else this.#pause(request, pause);
  }

  #pause(request: WaitingRequest, ms: number): void {
    request.state = "paused";
    clearTimeout(request.timer);
    request.timer = setTimeout(() => {
      request.state = "new";
      for (const pool of request.pools) this.#touched.add(pool);
      this.#call();
    }, ms);
  }

  #pausesFor(lacking: readonly OpenSlotPool[], now: number): readonly number[] {
    const elsewhere = lacking.filter((pool) => pool.isUsedElsewhere);
    if (elsewhere.length === 0) return AFTER_RACE_MS;
    return this.#wish(elsewhere, now) ? AFTER_WISH_MS : AGAIN_MS;
  }

  #wish(pools: readonly OpenSlotPool[], now: number): boolean {
    const { tag, store } = this.#options;
    const wished = pools.filter((pool) => pool.wish(now));
    // Without it the others return what is unused a moment later.
    for (const { scope } of wished) store.wish(tag, scope).catch(() => undefined);
    return wished.length > 0;
  }

  #reject(request: WaitingRequest, fault: Fault): void {
    this.#leave(request);
    request.reject(fault);
  }

  #leave(request: WaitingRequest): void {
    clearTimeout(request.timer);
    this.#waiting.delete(request);
  }

  /** Requests that wait for each pool and do not pause. */
  #needed(): Map<OpenSlotPool, number> {
    const needed = new Map<OpenSlotPool, number>();
    for (const { pools, state } of this.#waiting) {
      if (state === "paused") continue;
      for (const pool of pools) needed.set(pool, (needed.get(pool) ?? 0) + 1);
    }
    return needed;
  }

  /** Returns slots of these pools that stay unused, a moment later. */
  #keep(pools: Iterable<OpenSlotPool>, now: number): void {
    if (this.#keepTimer !== undefined || this.#isStopped) return;
    let isUnused = false;
    for (const pool of pools) if (pool.free(now) > 0) isUnused = true;
    if (!isUnused) return;
    for (const pool of this.#pools.values()) pool.watch(now);
    this.#keepTimer = setTimeout(() => {
      this.#spare();
    }, KEEP_MS);
    this.#keepTimer.unref();
  }

  #spare(): void {
    this.#keepTimer = undefined;
    const now = this.#options.mono();
    for (const pool of this.#pools.values()) if (pool.spare(now)) this.#touched.add(pool);
    this.#call();
    this.#keep(this.#pools.values(), now);
  }
}

function hasFree(pools: readonly OpenSlotPool[], now: number): boolean {
  return pools.every((pool) => pool.free(now) > 0);
}

function stopping(): Fault {
  return new Fault("draining", "the gateway is stopping");
}

/** The scope that refuses is the one without a free slot. */
function refusalOf(pools: readonly OpenSlotPool[], now: number): Fault {
  const [first] = pools;
  const refusing = pools.find((pool) => pool.free(now) === 0) ?? first;
  return refusing?.refusal(now) ?? new Fault("concurrency_limited", "this key has no open requests left");
}
