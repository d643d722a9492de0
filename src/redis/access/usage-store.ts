import { NO_USAGE, readUsageField, usageField, USAGE_COUNTS } from "../../core/access/usage-record.ts";
import type { UsageCount, UsageCounts, UsageRecord } from "../../core/access/usage-record.ts";
import { dayOf } from "../../core/access/calendar.ts";
import { Fault } from "../../core/fault.ts";
import type { Connection } from "../connection/connection.ts";
import { unlessMistyped } from "../connection/connection.ts";
import { asArray, asText } from "../connection/resp.ts";
import type { Keys } from "../keys.ts";
import { run, USE } from "../scripts.ts";

/** The use of one tenant's keys, as one gateway counts it. */
export interface UsageBatch {
  /** From 1, one more for each batch of this tenant and gateway. */
  readonly number: number;
  /** Added only when Redis has this batch, or a later one. */
  readonly after: number;
  /** Ms since it began. */
  readonly ageMs: number;
  readonly counts: Iterable<KeyUsage>;
}

/** The use of one model by a key. */
export interface KeyUsage extends UsageCounts {
  /** Id of the key. */
  readonly key: string;
  readonly model: string;
}

/** Tokens used, input and output together. */
export interface BudgetTotals {
  readonly day: number;
  readonly month: number;
}

/** Redis's answer to a batch. */
export interface UsageAnswer {
  /** The latest batch of this gateway that Redis has. */
  readonly batch: number;
  /** Ms since 1970, by Redis's clock. */
  readonly now: number;
  readonly tenant: BudgetTotals;
  /** By key id. */
  readonly keys: ReadonlyMap<string, BudgetTotals>;
}

/** Days after which the usage of a day goes; a tenant without use is forgotten with it. */
export const USAGE_DAYS = 400;

const TENANT_LIFE_MS = (USAGE_DAYS + 1) * 86_400_000;

/** The use of keys, by tenant and day, and the totals of budgets. */
export class UsageStore {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /**
   * Adds a batch once, however often it is sent, and reads totals. Rejects with `redis_down`: it may then be added.
   * @param user the tenant, and the tag of the gateway
   * @param batch absent: only reads
   * @param asked further keys whose totals are wanted, by id
   */
  async use(
    user: { readonly tenant: string; readonly tag: string },
    batch: UsageBatch | undefined,
    asked: Iterable<string> = [],
  ): Promise<UsageAnswer> {
    const tokens = new Map<string, number>(Array.from(asked, (key) => [key, 0]));
    const fields: string[] = [];
    for (const one of batch?.counts ?? []) {
      tokens.set(one.key, (tokens.get(one.key) ?? 0) + one.inputTokens + one.outputTokens);
      for (const count of USAGE_COUNTS) {
        if (one[count] > 0) fields.push(usageField(one.key, one.model, count), String(one[count]));
      }
    }
    const ids = [...tokens.keys()];
    const { number = 0, after = 0, ageMs = 0 } = batch ?? {};
    const head = [user.tag, String(number), String(after), String(Math.round(ageMs)), String(ids.length)];
    const amounts = ids.flatMap((key) => [key, String(tokens.get(key))]);
    const keys = [this.#keys.budgets(user.tenant), this.#keys.usage(user.tenant, "")];
    return readAnswer(await run(this.#connection, USE, keys, [...head, ...amounts, ...fields]), ids);
  }

  /** Notes that a tenant was used. @param now ms since 1970, by Redis's clock */
  async noteTenant(tenant: string, now: number): Promise<void> {
    const key = this.#keys.usedTenants();
    await Promise.all([
      this.#connection.command("ZADD", key, String(now), tenant),
      this.#connection.command("ZREMRANGEBYSCORE", key, "-inf", String(now - TENANT_LIFE_MS)),
    ]);
  }

  /** Names of all tenants that were used in the last {@link USAGE_DAYS} days, sorted. */
  async tenants(): Promise<string[]> {
    const names = await this.#connection.command("ZRANGE", this.#keys.usedTenants(), "0", "-1");
    return asArray(names).map(asText).toSorted();
  }

  /** Reads the use of a tenant's keys on a day. @param day yyyymmdd */
  async usageOn(tenant: string, day: string): Promise<UsageRecord[]> {
    const reply = this.#connection.command("HGETALL", this.#keys.usage(tenant, day));
    const records = new Map<string, UsageRecord>();
    for (const [field, value] of pairsOf(await unlessMistyped(reply))) {
      const read = readUsageField(field);
      if (read === undefined || !(value >= 0)) continue;
      const { key, model, count } = read;
      const id = JSON.stringify([key, model]);
      const record = records.get(id) ?? { tenant, key, model, day, ...NO_USAGE };
      records.set(id, withCount(record, count, value));
    }
    return [...records.values()];
  }

  /** Tokens used this day and month: by key id, and of the tenant under the empty id. @param now ms since 1970 */
  async totalsOf(tenant: string, now: number): Promise<ReadonlyMap<string, BudgetTotals>> {
    const reply = await unlessMistyped(this.#connection.command("HGETALL", this.#keys.budgets(tenant)));
    const totals = new Map<string, BudgetTotals>();
    const today = dayOf(now);
    for (const [field, value] of textPairs(reply)) {
      const [, kind, key = ""] = /^([dm])\|([^]*)$/.exec(field) ?? [];
      const [of = "", tokens] = value.split(" ");
      if (kind === undefined || !today.startsWith(of)) continue;
      const known = totals.get(key) ?? { day: 0, month: 0 };
      totals.set(key, { ...known, [kind === "d" ? "day" : "month"]: Number(tokens) });
    }
    return totals;
  }

  /** Tokens that a tenant used today. @param now ms since 1970 */
  async usedToday(tenant: string, now: number): Promise<number> {
    const reply = this.#connection.command("HGET", this.#keys.budgets(tenant), "d|");
    const [of, tokens] = asText(await unlessMistyped(reply)).split(" ");
    return of === dayOf(now) ? Number(tokens) : 0;
  }

  /** Ms since 1970, by the clock of a Redis server. */
  async now(): Promise<number> {
    const [reply] = await this.#connection.everywhere("TIME");
    const [seconds = "", micros = ""] = asArray(reply).map(asText);
    return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  }
}

function withCount(record: UsageRecord, count: UsageCount, value: number): UsageRecord {
  return { ...record, [count]: value };
}

function readAnswer(reply: unknown, ids: readonly string[]): UsageAnswer {
  const numbers = asArray(reply).map(Number);
  if (numbers.length !== 4 + 2 * ids.length || !numbers.every(Number.isFinite)) {
    throw new Fault("redis_down", "Redis did not say what was used");
  }
  const [batch = 0, now = 0] = numbers;
  const totalsAt = (index: number): BudgetTotals => {
    const [day = 0, month = 0] = numbers.slice(2 + 2 * index, 4 + 2 * index);
    return { day, month };
  };
  const keys = new Map(ids.map((id, index) => [id, totalsAt(index + 1)]));
  return { batch, now, tenant: totalsAt(0), keys };
}

function textPairs(reply: unknown): [string, string][] {
  const texts = asArray(reply).map(asText);
  return Array.from({ length: texts.length >> 1 }, (_none, index) => [
    texts[2 * index] ?? "",
    texts[2 * index + 1] ?? "",
  ]);
}

function pairsOf(reply: unknown): [string, number][] {
  return textPairs(reply).map(([field, value]) => [field, Number(value)]);
}
