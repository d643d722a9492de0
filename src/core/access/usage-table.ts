import { addUsage, USAGE_COUNTS } from "./usage-record.ts";
import type { UsageCounts, UsageRecord } from "./usage-record.ts";
import { writtenDay } from "./calendar.ts";

/** The columns by which usage can be grouped. */
export const USAGE_COLUMNS = ["tenant", "key", "model", "day"] as const;
export type UsageColumn = (typeof USAGE_COLUMNS)[number];

/** A row of a usage report: a column that is not grouped by is absent. */
export interface UsageRow extends UsageCounts {
  readonly tenant?: string;
  /** Id of the key. */
  readonly key?: string;
  /** The key's name; absent when its record is gone. */
  readonly keyName?: string;
  readonly model?: string;
  /** `yyyy-mm-dd`, UTC. */
  readonly day?: string;
}

/**
 * Reads a comma list of columns, each once, in the order given. Undefined when a column is unknown or the list is empty.
 */
export function readUsageColumns(list: string): readonly UsageColumn[] | undefined {
  const names = list.split(",").map((name) => name.trim().toLowerCase());
  const columns = names.flatMap((name) => USAGE_COLUMNS.find((column) => column === name) ?? []);
  return columns.length === names.length ? [...new Set(columns)] : undefined;
}

/**
 * Sums records by columns. Rows are sorted by them.
 * @param nameOf the name of a key; undefined when it is not known
 */
export function groupUsage(
  records: Iterable<UsageRecord>,
  columns: readonly UsageColumn[],
  nameOf: (key: string) => string | undefined,
): UsageRow[] {
  const rows = new Map<string, { readonly values: readonly string[]; readonly row: UsageRow }>();
  for (const record of records) {
    const values = columns.map((column) => record[column]);
    const id = JSON.stringify(values);
    const row = rows.get(id)?.row ?? startOf(record, columns, nameOf);
    rows.set(id, { values, row: { ...row, ...addUsage(row, record) } });
  }
  return Array.from(rows.values())
    .toSorted((a, b) => compare(a.values, b.values))
    .map(({ row }) => row);
}

/** The sum of rows. */
export function usageSum(rows: Iterable<UsageCounts>): UsageCounts {
  let sum: UsageCounts = { inputTokens: 0, outputTokens: 0, cachedTokens: 0, requests: 0, errors: 0 };
  for (const row of rows) sum = addUsage(sum, row);
  return sum;
}

/** The heads of the columns in CSV. */
const HEADS: Readonly<Record<UsageColumn | "keyName" | keyof UsageCounts, string>> = {
  tenant: "tenant",
  key: "key",
  keyName: "key_name",
  model: "model",
  day: "day",
  inputTokens: "input_tokens",
  outputTokens: "output_tokens",
  cachedTokens: "cached_tokens",
  requests: "requests",
  errors: "errors",
};

/** The rows as CSV (RFC 4180) with a head. No cell is a formula for a spreadsheet. */
export function usageCsv(rows: readonly UsageRow[], columns: readonly UsageColumn[]): string {
  const names = columns.flatMap((column) => (column === "key" ? (["key", "keyName"] as const) : [column]));
  const shown = [...names, ...USAGE_COUNTS];
  const lines = [
    shown.map((name) => HEADS[name]),
    ...rows.map((row) => shown.map((name) => cellOf(row[name]))),
  ];
  return lines.map((cells) => `${cells.join(",")}\r\n`).join("");
}

/**
 * Spreadsheets take a cell that begins with one of `= + - @`, a tab or a line break as a formula: an apostrophe before
 * it makes it text (OWASP, CSV injection).
 */
function cellOf(value: string | number | undefined): string {
  const text = String(value ?? "");
  const safe = /^[\s\uFEFF]*[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/.test(text) ? `'${text}` : text;
  return safe !== text || /[",\r\n;\t]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function startOf(
  { tenant, key, model, day }: UsageRecord,
  columns: readonly UsageColumn[],
  nameOf: (key: string) => string | undefined,
): UsageRow {
  const has = (column: UsageColumn): boolean => columns.includes(column);
  const name = has("key") ? nameOf(key) : undefined;
  return {
    ...(has("tenant") ? { tenant } : {}),
    ...(has("key") ? { key } : {}),
    ...(name === undefined ? {} : { keyName: name }),
    ...(has("model") ? { model } : {}),
    ...(has("day") ? { day: writtenDay(day) } : {}),
    ...usageSum([]),
  };
}

function compare(one: readonly string[], other: readonly string[]): number {
  for (const [index, value] of one.entries()) {
    const against = other[index] ?? "";
    if (value !== against) return value < against ? -1 : 1;
  }
  return 0;
}
