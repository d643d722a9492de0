import type { Settings } from "../config/settings.ts";
import { usageCsv } from "../core/access/usage-table.ts";
import type { UsageRow } from "../core/access/usage-table.ts";
import { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import { reportUsage } from "../redis/access/usage-report.ts";
import type { BudgetRow, UsageQuestion, UsageReport } from "../redis/access/usage-report.ts";
import { BytePrinter, print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";
import { renderTable } from "./table.ts";

/** Arguments of `sgnet usage`. */
export interface UsageArguments extends UsageQuestion {
  readonly csv: boolean;
  readonly json: boolean;
}

/** Prints the use of keys, tenants and models. Resolves with the exit code. */
export async function runUsage(given: Settings, args: UsageArguments): Promise<number> {
  const { csv, json, ...question } = args;
  if (csv && json) throw new Error("--csv and --json exclude each other.");
  return withConnection(given, "usage", async (connection) => {
    const report = await reportUsage(openStores(connection, new Keys(given.prefix)), question);
    if (json) printJson(report);
    else if (csv) new BytePrinter().print(Buffer.from(usageCsv(report.rows, report.by)));
    else print(renderUsage(report));
    return 0;
  });
}

/** The report as tables. */
export function renderUsage({ from, to, by, rows, total, budgets }: UsageReport): string {
  const days = from === to ? from : `${from} to ${to}`;
  const head = [...by, "input", "output", "cached", "requests", "errors"];
  const cells = rows.map((row) => [...by.map((column) => textIn(row, column)), ...countsOf(row)]);
  const sum =
    rows.length > 1 ? [[...by.map((_column, index) => (index === 0 ? "all" : "")), ...countsOf(total)]] : [];
  const parts = [renderTable(`Usage, ${days} (UTC), tokens`, head, [...cells, ...sum])];
  if (budgets.length > 0) parts.push(renderTable("Budgets, tokens", BUDGET_HEAD, budgets.map(budgetCells)));
  return parts.join("\n");
}

const BUDGET_HEAD = ["tenant", "key", "today", "of", "this month", "of", "at the end"];

function budgetCells(row: BudgetRow): (string | number)[] {
  const key = row.key === undefined ? "all" : (row.keyName ?? row.key);
  const end = row.budget === undefined ? "-" : row.budget === "hard" ? "refused" : "warned";
  return [row.tenant, key, row.today, row.budgetDay ?? "-", row.month, row.budgetMonth ?? "-", end];
}

function textIn(row: UsageRow, column: UsageReport["by"][number]): string {
  return (column === "key" ? (row.keyName ?? row.key) : row[column]) ?? "";
}

function countsOf(row: UsageReport["total"]): number[] {
  return [row.inputTokens, row.outputTokens, row.cachedTokens, row.requests, row.errors];
}
