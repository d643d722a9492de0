import { daysBetween, readDay, writtenDay } from "../../core/access/calendar.ts";
import type { KeyLimits } from "../../core/access/key-limits.ts";
import type { KeyRecord, TenantRecord } from "../../core/access/key-record.ts";
import { readAccessRecord } from "../../core/access/record-codec.ts";
import type { UsageCounts, UsageRecord } from "../../core/access/usage-record.ts";
import { groupUsage, readUsageColumns, usageSum } from "../../core/access/usage-table.ts";
import type { UsageColumn, UsageRow } from "../../core/access/usage-table.ts";
import { Fault } from "../../core/fault.ts";
import type { AccessRecords } from "./access-records.ts";
import { USAGE_DAYS } from "./usage-store.ts";
import type { BudgetTotals, UsageStore } from "./usage-store.ts";

/** A question about usage, as it was typed. Absent members have defaults. */
export interface UsageQuestion {
  /** A comma list of columns. Default: tenant, key and model. */
  readonly by?: string | undefined;
  /** First and last day. Default: today. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly tenant?: string | undefined;
  /** Id or name of a key. */
  readonly key?: string | undefined;
}

/** The use of a key or tenant beside its budgets. */
export interface BudgetRow {
  readonly tenant: string;
  /** Id of the key; absent for the tenant itself. */
  readonly key?: string;
  readonly keyName?: string;
  /** Tokens of this day and this month (UTC). */
  readonly today: number;
  readonly month: number;
  readonly budgetDay?: number;
  readonly budgetMonth?: number;
  readonly budget?: "hard" | "warn";
}

/** An answer about usage. */
export interface UsageReport {
  /** `yyyy-mm-dd`, UTC; both are included. */
  readonly from: string;
  readonly to: string;
  readonly by: readonly UsageColumn[];
  readonly rows: readonly UsageRow[];
  readonly total: UsageCounts;
  /** Tenants and keys that have used tokens this month. */
  readonly budgets: readonly BudgetRow[];
}

export interface UsageSource {
  readonly usage: Pick<UsageStore, "now" | "tenants" | "usageOn" | "totalsOf">;
  readonly access: Pick<AccessRecords, "all">;
}

/** Hashes read at once. */
const READ_AT_ONCE = 64;

/** A checked question. */
interface Query {
  readonly by: readonly UsageColumn[];
  readonly days: readonly string[];
  readonly now: number;
}

/**
 * Answers a question about usage.
 * @throws Fault `invalid_request` for a malformed question, `record_not_found` for an unknown key, `redis_down`
 */
export async function reportUsage(source: UsageSource, question: UsageQuestion): Promise<UsageReport> {
  const query = checked(question, await source.usage.now());
  const records = await readNames(source.access);
  const key = question.key === undefined ? undefined : idOf(question.key, records);
  const known = question.tenant === undefined ? await source.usage.tenants() : [question.tenant];
  const tenants = key?.tenant === undefined ? known : known.filter((tenant) => tenant === key.tenant);
  const found = await recordsOf(source.usage, tenants, query.days);
  const wanted = key === undefined ? found : found.filter((record) => record.key === key.id);
  const rows = groupUsage(wanted, query.by, (id) => records.keys.get(id)?.name ?? environmentName(id));
  const budgets = await budgetsOf(source.usage, tenants, { records, now: query.now });
  return {
    from: writtenDay(query.days[0] ?? ""),
    to: writtenDay(query.days.at(-1) ?? ""),
    by: query.by,
    rows,
    total: usageSum(rows),
    budgets: key === undefined ? budgets : budgets.filter((row) => row.key === key.id),
  };
}

function checked({ by = "tenant,key,model", from, to = "today" }: UsageQuestion, now: number): Query {
  const columns = readUsageColumns(by);
  if (columns === undefined) {
    throw new Fault("invalid_request", "usage is grouped by a comma list of tenant, key, model and day");
  }
  const [first, last] = [dayIn(from ?? to, now), dayIn(to, now)];
  const days = first > last ? [] : daysBetween(first, last);
  if (days.length === 0) throw new Fault("invalid_request", "the first day is later than the last one");
  if (days.length > USAGE_DAYS) {
    throw new Fault("invalid_request", `usage is kept for ${USAGE_DAYS} days: ask for fewer`);
  }
  return { by: columns, days, now };
}

function dayIn(text: string, now: number): string {
  const day = readDay(text, now);
  if (day !== undefined) return day;
  throw new Fault("invalid_request", `'${text}' is no day: write it as 2026-11-30, today or yesterday`);
}

/** The records of keys and tenants, by id and by name. */
interface NamedRecords {
  readonly keys: ReadonlyMap<string, KeyRecord>;
  readonly tenants: ReadonlyMap<string, TenantRecord>;
}

async function readNames(access: UsageSource["access"]): Promise<NamedRecords> {
  const keys = new Map<string, KeyRecord>();
  const tenants = new Map<string, TenantRecord>();
  for (const { id, json } of (await access.all()).records) {
    const record = readAccessRecord(id, json);
    if (record?.kind === "key") keys.set(id, record.key);
    if (record?.kind === "tenant") tenants.set(record.tenant.name, record.tenant);
  }
  return { keys, tenants };
}

/** Keys of the environment have their id as name. */
function environmentName(id: string): string | undefined {
  return id.startsWith("env-") ? id : undefined;
}

/** A key by its id or name; one without a record by its id. Among keys of one name, one that works comes first. */
function idOf(text: string, { keys }: NamedRecords): { readonly id: string; readonly tenant?: string } {
  const byId = keys.get(text);
  if (byId !== undefined) return byId;
  const named = Array.from(keys.values()).filter(({ name }) => name === text);
  return named.find(({ disabled }) => disabled === undefined) ?? named[0] ?? { id: text };
}

async function recordsOf(
  usage: UsageSource["usage"],
  tenants: readonly string[],
  days: readonly string[],
): Promise<UsageRecord[]> {
  const found: UsageRecord[] = [];
  const asked = tenants.flatMap((tenant) => days.map((day) => [tenant, day] as const));
  for (let at = 0; at < asked.length; at += READ_AT_ONCE) {
    const page = asked.slice(at, at + READ_AT_ONCE);
    const read = await Promise.all(page.map(async ([tenant, day]) => usage.usageOn(tenant, day)));
    for (const record of read.flat()) found.push(record);
  }
  return found;
}

async function budgetsOf(
  usage: UsageSource["usage"],
  tenants: readonly string[],
  { records, now }: { readonly records: NamedRecords; readonly now: number },
): Promise<BudgetRow[]> {
  const rows: BudgetRow[] = [];
  for (const tenant of tenants) {
    const totals = await usage.totalsOf(tenant, now);
    for (const [id, { day, month }] of Array.from(totals).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      rows.push(budgetRow(tenant, id, { records, totals: { day, month } }));
    }
  }
  return rows;
}

function budgetRow(
  tenant: string,
  id: string,
  { records, totals }: { readonly records: NamedRecords; readonly totals: BudgetTotals },
): BudgetRow {
  const limits: KeyLimits = (id === "" ? records.tenants.get(tenant) : records.keys.get(id)) ?? {};
  const name = id === "" ? undefined : (records.keys.get(id)?.name ?? environmentName(id));
  const { budgetDay, budgetMonth, budget = "hard" } = limits;
  const hasBudget = budgetDay !== undefined || budgetMonth !== undefined;
  return {
    tenant,
    ...(id === "" ? {} : { key: id }),
    ...(name === undefined ? {} : { keyName: name }),
    today: totals.day,
    month: totals.month,
    ...(budgetDay === undefined ? {} : { budgetDay }),
    ...(budgetMonth === undefined ? {} : { budgetMonth }),
    ...(hasBudget ? { budget } : {}),
  };
}
