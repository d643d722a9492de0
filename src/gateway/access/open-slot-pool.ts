import { Fault } from "../../core/fault.ts";
import type { SlotDemand, SlotGrant, SlotScope } from "../../redis/access/open-slots.ts";

/** Life of slots in Redis without a call of their gateway, ms. */
export const SLOT_LIFE_MS = 15_000;

/** Unused slots are no longer used this long before their end: a call may have been on its way for a while, ms. */
const MARGIN_MS = 1000;

/** After a wish a gateway keeps no unused slots of that scope for this long, ms. */
const SHARED_MS = 10_000;

/** A wish is repeated only after this time: until then the others return slots unasked, ms. */
const WISH_EVERY_MS = 5000;

/** A scope that was not used for this long is forgotten, ms. */
const FORGET_MS = 60_000;

/** Weight of the newest duration in the average. */
const NEWEST = 1 / 8;

/** Assumed while no request of the scope has ended here, ms. */
const ASSUMED_MS = 1000;

/** Official clients give up at a longer `Retry-After`, s. */
const LONGEST_WAIT_S = 60;

/**
 * The open requests of one key or tenant at this gateway, and the slots that it has for them. The number of open
 * requests is the truth: each call to Redis states it anew. So no lost call or answer can make the count wrong.
 */
export class OpenSlotPool {
  readonly scope: SlotScope;
  #most = 0;
  #open = 0;
  /** Slots in Redis, as far as this gateway may rely on them. */
  #held = 0;
  /** Mono ms until which slots beyond the open requests may be used. */
  #heldUntil = -Infinity;
  /** Slots of other gateways, as of the last call. */
  #others = 0;
  /** True when Redis may have another number of slots than is right. */
  #isDue = false;
  /** Fewest unused slots since {@link watch}. */
  #leastFree = 0;
  /** Unused slots that are to be returned. */
  #spare = 0;
  #sharedUntil = -Infinity;
  #wishedAt = -Infinity;
  #usedAt = 0;
  #meanMs: number | undefined;
  /** Mono ms at which there is room for the last refused request. */
  #roomAt = 0;

  constructor(scope: SlotScope) {
    this.scope = scope;
  }

  get open(): number {
    return this.#open;
  }

  /** True when other gateways have slots. */
  get isUsedElsewhere(): boolean {
    return this.#others > 0;
  }

  /** True when its requests here are as many as there may be in the whole fleet. */
  get isFull(): boolean {
    return this.#open >= this.#most;
  }

  /** Sets the bound, as the record of the newest request has it. */
  limit(most: number, now: number): void {
    this.#most = most;
    this.#usedAt = now;
  }

  /** Slots that a request may take at once. @param now mono ms */
  free(now: number): number {
    if (now >= this.#heldUntil) return 0;
    return Math.max(0, Math.min(this.#held, this.#most) - this.#open);
  }

  /** Takes a free slot. */
  take(now: number): void {
    this.#open += 1;
    this.#usedAt = now;
    this.#leastFree = Math.min(this.#leastFree, this.free(now));
  }

  /** A request is over. @param tookMs its duration; undefined when it was refused after all */
  give(now: number, tookMs: number | undefined): void {
    this.#open -= 1;
    this.#usedAt = now;
    if (tookMs === undefined) return;
    const mean = this.#meanMs ?? tookMs;
    this.#meanMs = mean + (tookMs - mean) * NEWEST;
  }

  /** Marks slots for return that nothing has used since {@link watch}. @returns true when there are any */
  spare(now: number): boolean {
    this.#spare = Math.min(this.#leastFree, this.free(now));
    return this.#spare > 0;
  }

  /** Begins to watch which slots stay unused. */
  watch(now: number): void {
    this.#leastFree = this.free(now);
  }

  /** Other gateways lack slots: for a while, unused ones are returned at once. */
  share(now: number): void {
    this.#sharedUntil = now + SHARED_MS;
  }

  /** True when the other gateways are to be asked for unused slots; then it is noted that they were. */
  wish(now: number): boolean {
    if (now - this.#wishedAt < WISH_EVERY_MS) return false;
    this.#wishedAt = now;
    this.share(now);
    return true;
  }

  /** Redis may have lost the slots: none may be used before it has answered again. */
  doubt(): void {
    this.#heldUntil = -Infinity;
  }

  /** True when the next renewal has something to say. */
  get isHeld(): boolean {
    return this.#open > 0 || this.#held > 0 || this.#isDue;
  }

  /** States the truth at the next call. */
  renew(): void {
    this.#isDue = true;
  }

  /** True when a call is needed. @param needed free slots that requests wait for */
  needsCall(now: number, needed: number): boolean {
    if (this.#isDue || this.#spare > 0 || needed > this.free(now)) return true;
    return this.#isShared(now) && this.#held > this.#open + needed;
  }

  /** The demand of a call that is sent now. From now on only the slots that it names may be used. */
  demand(now: number, needed: number): SlotDemand {
    const free = this.free(now);
    const kept = this.#isShared(now) ? 0 : Math.max(0, free - this.#spare);
    const want = Math.max(kept, needed);
    this.#held = Math.min(this.#held, this.#open + want);
    this.#spare = 0;
    this.#isDue = false;
    return { ...this.scope, open: this.#open, want, most: this.#most };
  }

  /** Redis has answered. @param sentAt mono ms of its call */
  answered({ open }: SlotDemand, { further, others }: SlotGrant, sentAt: number): void {
    this.#held = open + further;
    this.#heldUntil = sentAt + SLOT_LIFE_MS - MARGIN_MS;
    this.#others = others;
    // Requests that took slots meanwhile which Redis no longer grants.
    if (this.#open > this.#held) this.#isDue = true;
  }

  /** True when nothing would be lost with it. */
  isForgotten(now: number): boolean {
    return !this.isHeld && now - this.#usedAt > FORGET_MS;
  }

  /** The fault of one more request. Clients that are refused together come back one after the other. */
  refusal(now: number): Fault {
    const each = (this.#meanMs ?? ASSUMED_MS) / Math.max(1, this.#most);
    this.#roomAt = Math.min(Math.max(now, this.#roomAt) + each, now + LONGEST_WAIT_S * 1000);
    const retryAfter = Math.max(1, Math.ceil((this.#roomAt - now) / 1000));
    const owner = this.scope.key === undefined ? "the tenant of this key" : "this key";
    return new Fault("concurrency_limited", `${owner} may have ${this.#most} open requests, and has them`, {
      retryAfter,
    });
  }

  #isShared(now: number): boolean {
    return now < this.#sharedUntil;
  }
}
