import { readSummary } from "../../core/summary.ts";
import type { TaskSummary } from "../../core/summary.ts";
import type { Connection } from "../connection/connection.ts";
import type { Keys } from "../keys.ts";
import { asEntries, asJson } from "../connection/resp.ts";
import { LOG, run } from "../scripts.ts";

/** Summaries kept, about: they take 4 MB of Redis's memory. */
const KEPT = "10000";

/** A summary in the log. */
export interface LogEntry {
  /** Entry id in Redis. It grows with time. */
  readonly id: string;
  readonly summary: TaskSummary;
}

function toLog(reply: unknown): LogEntry[] {
  return asEntries(reply).flatMap((entry) => {
    const summary = readSummary(asJson(entry.fields[1]));
    return summary === undefined ? [] : [{ id: entry.id, summary }];
  });
}

/** The log of ended tasks, for `sgnet trace`, `sgnet top` and the live page. */
export class SummaryLog {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Appends summaries, the oldest first. */
  async append(summaries: readonly TaskSummary[]): Promise<void> {
    const texts = summaries.map((summary) => JSON.stringify(summary));
    await run(this.#connection, LOG, [this.#keys.log()], [KEPT, ...texts]);
  }

  /** Reads summaries older than the entry `before`, the newest first. Begins with the newest when it is absent. */
  async latest(range: { readonly before?: string; readonly count: number }): Promise<LogEntry[]> {
    const from = range.before === undefined ? "+" : `(${range.before}`;
    const count = String(range.count);
    return toLog(await this.#connection.command("XREVRANGE", this.#keys.log(), from, "-", "COUNT", count));
  }

  /** Reads summaries newer than the entry `after`, the oldest first. */
  async after(range: { readonly after: string; readonly count: number }): Promise<LogEntry[]> {
    const count = String(range.count);
    return toLog(
      await this.#connection.command("XRANGE", this.#keys.log(), `(${range.after}`, "+", "COUNT", count),
    );
  }
}

/** Most summaries of the first read, and of each later one. */
const FIRST_READ = 500;
const LATER_READ = 1000;

/** Follows the log from its latest summaries on. */
export class LogReader {
  readonly #log: SummaryLog;
  #after: string | undefined;

  constructor(log: SummaryLog) {
    this.#log = log;
  }

  /** Reads the latest summaries at the first call, then the new ones. The oldest comes first. */
  async read(): Promise<TaskSummary[]> {
    const entries = await this.#entries();
    this.#after = entries.at(-1)?.id ?? this.#after ?? "0-0";
    return entries.map(({ summary }) => summary);
  }

  async #entries(): Promise<LogEntry[]> {
    const after = this.#after;
    if (after !== undefined) {
      return this.#log.after({ after, count: LATER_READ });
    }
    const latest = await this.#log.latest({ count: FIRST_READ });
    return latest.toReversed();
  }
}
