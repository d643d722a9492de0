import type { Settings } from "../config/settings.ts";
import type { TaskSummary } from "../core/summary.ts";
import { append } from "../core/long-lists.ts";
import type { Connection } from "../redis/connection.ts";
import { Keys } from "../redis/keys.ts";
import { findOpenTask } from "../redis/open-task.ts";
import type { OpenTask } from "../redis/open-task.ts";
import { latestSummaries } from "../redis/task-log.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-url.ts";
import { tellEnded, tellOpen } from "./story.ts";

/** Log entries read at once. */
const PAGE = 500;

/** Clients may give several requests the same id: so many of the newest are told. */
const MOST_TOLD = 5;

/**
 * Tells the story of a request, by its id or its task's. Resolves with the exit code. Rejects with a sentence when
 * nothing is known of it.
 */
export async function runTrace(
  given: Settings,
  { id, json }: { readonly id: string | undefined; readonly json: boolean },
): Promise<number> {
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
    // A task that ended a moment ago may still be seen in both places.
    const isEnded = ended.some(({ task }) => task === (open?.queued?.task.id ?? id));
    const openNow = isEnded ? undefined : open;
    if (openNow === undefined && ended.length === 0) {
      throw new Error(
        `Nothing is known of ${id}: it is not open and not among the last 10,000 or so requests.`,
      );
    }
    if (json) printJson({ ended, ...(openNow === undefined ? {} : { open: openFacts(openNow) }) });
    else {
      const stories = ended.map((summary) => tellEnded(summary));
      print([...stories, ...(openNow === undefined ? [] : [tellOpen(id, openNow, Date.now())])].join("\n"));
    }
    return 0;
  });
}

/** An open task for programs, without its body. */
function openFacts({ queued, reply }: OpenTask): object {
  if (queued === undefined) return { reply };
  const { model, entry, hold, task } = queued;
  const { id, requestId: request, endpoint, stream, createdAt: at, deadline } = task;
  return { task: id, request, endpoint, stream, model, entry, at, deadline, hold, reply };
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
