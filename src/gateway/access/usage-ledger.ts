import type { UsageCounts } from "../../core/access/usage-record.ts";
import { dayOf } from "../../core/access/calendar.ts";
import { toFault } from "../../core/fault.ts";
import type { BudgetTotals, UsageAnswer, UsageStore } from "../../redis/access/usage-store.ts";
import type { Log } from "../../telemetry/log.ts";
import { TenantUsage } from "./tenant-usage.ts";

/** Batches go to Redis this often, ms: a killed gateway loses no more. */
export const USAGE_FLUSH_MS = 1000;

/** Totals of a key in use are renewed this often, ms; each {@link USAGE_FLUSH_MS} near the end of its budget. */
const RENEW_MS = 3000;

/** A key counts as in use for this long after a request, ms. */
const IN_USE_MS = 10_000;

/** Totals are forgotten this long after the last request, ms. */
const FORGET_MS = 3_600_000;

/** A tenant is noted in the list of used ones this often, ms. */
const NOTE_MS = 3_600_000;

/** Totals as Redis said them. */
interface KnownTotals {
  readonly totals: BudgetTotals;
  /** Ms since 1970, by Redis's clock. */
  readonly saidAt: number;
  /** Mono ms. */
  readonly at: number;
}

/** A key whose totals are asked for. */
interface Watched {
  usedAt: number;
  isUrgent: boolean;
}

interface TenantLedger {
  readonly tenant: string;
  readonly usage: TenantUsage;
  /** By key id; the tenant's under the empty id. */
  readonly known: Map<string, KnownTotals>;
  readonly watched: Map<string, Watched>;
  notedAt: number;
  /** True while Redis may have lost batches. */
  isDoubted: boolean;
  /** The calls under way; they run one after the other. */
  sending: Promise<void> | undefined;
}

export interface UsageLedgerOptions {
  readonly store: Pick<UsageStore, "use" | "noteTenant">;
  /** Names this gateway. */
  readonly tag: string;
  /** Ms. */
  readonly mono: () => number;
  readonly log: Pick<Log, "warn" | "info">;
}

/**
 * The use of keys at this gateway, and the totals of all gateways as Redis said them. Sums go to Redis once a second. While Redis
 * is away they are kept: each counts once, whatever answer was lost.
 */
export class UsageLedger {
  readonly #options: UsageLedgerOptions;
  readonly #tenants = new Map<string, TenantLedger>();
  /** Redis's time and the mono time of its latest answer. */
  #clock: { readonly now: number; readonly at: number } | undefined;
  /** The latest number of a batch. */
  #numbers = 0;
  #hasFailed = false;
  /** Questions under way: requests that come together share one. */
  readonly #learning = new Map<string, Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: UsageLedgerOptions) {
    this.#options = options;
  }

  /** Sends once a second from now on. */
  start(): void {
    this.#timer ??= setInterval(() => {
      void this.flush();
    }, USAGE_FLUSH_MS);
  }

  /** Sends what is left. Resolves when Redis has it, or has not taken it. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await Promise.all(Array.from(this.#tenants.values(), async ({ sending }) => sending));
    await this.flush();
  }

  /** Counts what a task used. */
  add(
    who: { readonly tenant: string; readonly key: string; readonly model: string },
    counts: UsageCounts,
  ): void {
    this.#of(who.tenant).usage.add(who.key, who.model, counts);
  }

  /** Another Redis may answer from now on: the latest batches are sent again if it lacks them. */
  doubt(): void {
    for (const ledger of this.#tenants.values()) ledger.isDoubted ||= ledger.usage.isKeeping;
  }

  /** Ms since 1970, by Redis's clock; undefined before its first answer. */
  now(): number | undefined {
    return this.#clock === undefined ? undefined : this.#clock.now + this.#options.mono() - this.#clock.at;
  }

  /**
   * The tokens of this day and month, those included that Redis may lack. Undefined when Redis was not asked yet.
   * @param key empty: the tenant
   */
  totals(tenant: string, key: string): (BudgetTotals & { readonly ageMs: number }) | undefined {
    const ledger = this.#tenants.get(tenant);
    const known = ledger?.known.get(key);
    const now = this.now();
    if (ledger === undefined || known === undefined || now === undefined) return undefined;
    const unsent = ledger.usage.unsent(key);
    const [today, then] = [dayOf(now), dayOf(known.saidAt)];
    const isMonth = today.slice(0, 6) === then.slice(0, 6);
    return {
      day: (today === then ? known.totals.day : 0) + unsent,
      month: (isMonth ? known.totals.month : 0) + unsent,
      ageMs: this.#options.mono() - known.at,
    };
  }

  /** Keeps the totals of a key new while it is in use. @param isUrgent true near the end of its budget */
  watch(tenant: string, key: string, isUrgent: boolean): void {
    const { watched } = this.#of(tenant);
    watched.set(key, { usedAt: this.#options.mono(), isUrgent });
  }

  /** Asks Redis for the totals of keys. Rejects with `redis_down`. */
  async learn(tenant: string, keys: readonly string[]): Promise<void> {
    const id = JSON.stringify([tenant, ...keys]);
    const asked = this.#learning.get(id) ?? this.#learn(this.#of(tenant), keys);
    this.#learning.set(id, asked);
    try {
      await asked;
    } finally {
      this.#learning.delete(id);
    }
  }

  async #learn(ledger: TenantLedger, keys: readonly string[]): Promise<void> {
    this.#take(ledger, await this.#use(ledger, keys));
  }

  /** Sends to Redis what has gathered. Never rejects: batches that Redis does not take are sent again. */
  async flush(): Promise<void> {
    const due = Array.from(this.#tenants.values(), async (ledger) => {
      this.#forget(ledger);
      ledger.usage.close();
      ledger.sending ??= this.#send(ledger).finally(() => {
        ledger.sending = undefined;
      });
      return ledger.sending;
    });
    await Promise.all(due);
  }

  async #send(ledger: TenantLedger): Promise<void> {
    try {
      if (ledger.isDoubted) await this.#ask(ledger, []);
      let batch = ledger.usage.next();
      if (batch === undefined) {
        const asked = this.#aged(ledger);
        if (asked.length > 0) await this.#ask(ledger, asked);
        return;
      }
      while (batch !== undefined) {
        const answer = await this.#use(ledger, this.#aged(ledger), batch);
        ledger.usage.confirmed(answer.batch);
        this.#take(ledger, answer);
        batch = ledger.usage.next();
      }
      await this.#note(ledger);
      if (this.#hasFailed) this.#options.log.info("Redis takes usage again", {});
      this.#hasFailed = false;
    } catch (error) {
      // The next flush sends it again.
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      const { message } = toFault(error);
      this.#options.log.warn("Redis does not take usage: it is kept and sent again", { reason: message });
    }
  }

  async #ask(ledger: TenantLedger, keys: readonly string[]): Promise<void> {
    const answer = await this.#use(ledger, keys);
    ledger.isDoubted = false;
    ledger.usage.confirmed(answer.batch);
    this.#take(ledger, answer);
  }

  async #use(
    { tenant }: TenantLedger,
    keys: readonly string[],
    batch?: Parameters<UsageStore["use"]>[1],
  ): Promise<UsageAnswer> {
    const { store, tag } = this.#options;
    const named = keys.filter((key) => key !== "");
    return store.use({ tenant, tag }, batch, named);
  }

  #take({ known }: TenantLedger, answer: UsageAnswer): void {
    const at = this.#options.mono();
    this.#clock = { now: answer.now, at };
    known.set("", { totals: answer.tenant, saidAt: answer.now, at });
    for (const [key, totals] of answer.keys) known.set(key, { totals, saidAt: answer.now, at });
  }

  /** Keys in use whose totals are due. */
  #aged({ known, watched }: TenantLedger): string[] {
    const now = this.#options.mono();
    return Array.from(watched)
      .filter(([key, { usedAt, isUrgent }]) => {
        const age = now - (known.get(key)?.at ?? -Infinity);
        return now - usedAt < IN_USE_MS && age >= (isUrgent ? USAGE_FLUSH_MS / 2 : RENEW_MS);
      })
      .map(([key]) => key);
  }

  async #note(ledger: TenantLedger): Promise<void> {
    const now = this.#options.mono();
    const redisNow = this.now();
    if (now - ledger.notedAt < NOTE_MS || redisNow === undefined) return;
    await this.#options.store.noteTenant(ledger.tenant, redisNow);
    ledger.notedAt = now;
  }

  #forget(ledger: TenantLedger): void {
    const { tenant, usage, known, watched } = ledger;
    const now = this.#options.mono();
    for (const [key, { usedAt }] of watched) if (now - usedAt >= FORGET_MS) watched.delete(key);
    for (const [key, { at }] of known) if (now - at >= FORGET_MS) known.delete(key);
    const isIdle = !usage.isWaiting && !usage.isKeeping && ledger.sending === undefined;
    if (isIdle && known.size === 0 && watched.size === 0) this.#tenants.delete(tenant);
  }

  #of(tenant: string): TenantLedger {
    const found = this.#tenants.get(tenant);
    if (found !== undefined) return found;
    const usage = new TenantUsage(this.#options.mono, () => (this.#numbers += 1));
    const made: TenantLedger = {
      tenant,
      usage,
      known: new Map(),
      watched: new Map(),
      notedAt: -Infinity,
      isDoubted: false,
      sending: undefined,
    };
    this.#tenants.set(tenant, made);
    return made;
  }
}
