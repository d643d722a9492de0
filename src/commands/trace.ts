import type { Settings } from "../config/settings.ts";
import type { TaskSummary } from "../core/summary.ts";
import { append } from "../core/long-lists.ts";
import type { Connection } from "../redis/connection.ts";
import { Keys } from "../redis/keys.ts";
import { findOpenTask } from "../redis/open-task.ts";
import { latestSummaries } from "../redis/task-log.ts";
import { print, printError } from "./print.ts";
import { withConnection } from "./redis-url.ts";
import { tellEnded, tellOpen } from "./story.ts";

/** Log entries read at once. */
const PAGE = 500;

/** Clients may give several requests the same id: so many of the newest are told. */
const MOST_TOLD = 5;

/**
 * Tells the story of a request, by its id or its task's. Resolves with the exit code: 1 when nothing is known of it.
 */
export async function runTrace(given: Settings, id: string | undefined): Promise<number> {
  if (id === undefined) {
    throw new Error(
      "An id is missing: sgnet trace ID. It is the x-request-id of a reply, or the request or task of a log line.",
    );
  }
  return withConnection(given, "trace", async (connection) => {
    const keys = new Keys(given.prefix);
    const [open, ended] = await Promise.all([
      findOpenTask(connection, keys, id),
      findEnded(connection, keys, id),
    ]);
    const stories = ended.map((summary) => tellEnded(summary));
    // A task that ended a moment ago may still be seen in both places.
    const stillOpen = open !== undefined && !ended.some(({ task }) => task === (open.queued?.task.id ?? id));
    if (stillOpen) stories.push(tellOpen(id, open, Date.now()));
    if (stories.length === 0) {
      printError(`Nothing is known of ${id}: it is not open and not among the last 10,000 or so requests.\n`);
      return 1;
    }
    print(stories.join("\n"));
    return 0;
  });
}

/** The oldest first. */
async function findEnded(connection: Connection, keys: Keys, id: string): Promise<TaskSummary[]> {
  const found: TaskSummary[] = [];
  let before: string | undefined;
  for (;;) {
    const range = before === undefined ? { count: PAGE } : { before, count: PAGE };
    const entries = await latestSummaries(connection, keys, range);
    const matches = entries.filter(({ summary }) => summary.task === id || summary.request === id);
    append(
      found,
      matches.map(({ summary }) => summary),
    );
    before = entries.at(-1)?.id;
    if (before === undefined || found.length >= MOST_TOLD) return found.slice(0, MOST_TOLD).toReversed();
  }
}
