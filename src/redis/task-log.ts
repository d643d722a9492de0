import { isSummary } from "../core/summary.ts";
import type { TaskSummary } from "../core/summary.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asEntries, asText } from "./replies.ts";
import type { StreamEntry } from "./replies.ts";
import { LOG, run } from "./scripts.ts";

/** The log of ended tasks: what `sgnet trace`, `sgnet top` and the live page tell of the past. */

/** About so many of the newest are kept: 4 MB of Redis's memory. */
const KEPT = "10000";

/** A summary in the log. */
export interface LogEntry {
  /** Of the entry in Redis: grows. */
  readonly id: string;
  readonly summary: TaskSummary;
}

/** Appends summaries, the oldest first. */
export async function appendSummaries(
  connection: Connection,
  keys: Keys,
  summaries: readonly TaskSummary[],
): Promise<void> {
  const texts = summaries.map((summary) => JSON.stringify(summary));
  await run(connection, LOG, [keys.log()], [KEPT, ...texts]);
}

/** Summaries older than the entry `before` (the newest when absent), the newest first. */
export async function latestSummaries(
  connection: Connection,
  keys: Keys,
  range: { readonly before?: string; readonly count: number },
): Promise<LogEntry[]> {
  const from = range.before === undefined ? "+" : `(${range.before}`;
  const count = String(range.count);
  return toLog(await connection.command("XREVRANGE", keys.log(), from, "-", "COUNT", count));
}

/** Summaries younger than the entry `after`, the oldest first. */
async function newSummaries(
  connection: Connection,
  keys: Keys,
  range: { readonly after: string; readonly count: number },
): Promise<LogEntry[]> {
  const count = String(range.count);
  return toLog(await connection.command("XRANGE", keys.log(), `(${range.after}`, "+", "COUNT", count));
}

function toLog(reply: unknown): LogEntry[] {
  return asEntries(reply).flatMap((entry) => {
    const summary = parse(entry);
    return summary === undefined ? [] : [{ id: entry.id, summary }];
  });
}

function parse({ fields }: StreamEntry): TaskSummary | undefined {
  try {
    const value = JSON.parse(asText(fields[1]));
    return isSummary(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Summaries read at the first look, and at each later one. */
const FIRST_LOOK = 500;
const LATER_LOOK = 1000;

/** Follows the log. */
export class LogReader {
  readonly #connection: Connection;
  readonly #keys: Keys;
  #after: string | undefined;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** The latest summaries at the first call, then those that came since; the oldest first. */
  async read(): Promise<TaskSummary[]> {
    const entries = await this.#entries();
    this.#after = entries.at(-1)?.id ?? this.#after ?? "0-0";
    return entries.map(({ summary }) => summary);
  }

  async #entries(): Promise<LogEntry[]> {
    const after = this.#after;
    if (after !== undefined) {
      return newSummaries(this.#connection, this.#keys, { after, count: LATER_LOOK });
    }
    const latest = await latestSummaries(this.#connection, this.#keys, { count: FIRST_LOOK });
    return latest.toReversed();
  }
}
