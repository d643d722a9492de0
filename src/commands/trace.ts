import type { Settings } from "../config/settings.ts";
import type { TaskSummary } from "../core/summary.ts";
import { append } from "../core/long-lists.ts";
import { Keys } from "../redis/keys.ts";
import type { OpenTask } from "../redis/inspect/open-tasks.ts";
import { openInspection } from "../redis/inspect/inspection.ts";
import type { SummaryLog } from "../redis/inspect/summary-log.ts";
import { claimFacts } from "./claim-facts.ts";
import { print, printJson } from "./print.ts";
import { withConnection } from "./redis-discovery.ts";
import { renderEnded, renderOpen } from "./timeline.ts";

/** Log entries read at once. */
const PAGE = 500;

/** Most requests that are printed, the newest ones: clients may reuse an id. */
const MOST_PRINTED = 5;

/**
 * Prints the timeline of a request, by its id or its task's. Resolves with the exit code. Rejects with a sentence for
 * an unknown id.
 */
export async function runTrace(
  given: Settings,
  { id, json }: { readonly id: string | undefined; readonly json: boolean },
): Promise<number> {
  if (id === undefined) {
    throw new Error(
      "An id is missing: sgnet trace ID. Use the x-request-id of a reply, or the request or task of a log line.",
    );
  }
  return withConnection(given, "trace", async (connection) => {
    const { tasks, summaries } = openInspection(connection, new Keys(given.prefix));
    const [open, ended] = await Promise.all([tasks.find(id), findEnded(summaries, id)]);
    // A task that ended a moment ago may still be seen in both places.
    const isEnded = ended.some(({ task }) => task === (open?.queued?.task.id ?? id));
    const openNow = isEnded ? undefined : open;
    if (openNow === undefined && ended.length === 0) {
      throw new Error(
        `Nothing is known of ${id}: it is neither open nor among the last 10,000 or so requests.`,
      );
    }
    if (json) printJson({ ended, ...(openNow === undefined ? {} : { open: openFacts(openNow) }) });
    else {
      const timelines = ended.map((summary) => renderEnded(summary));
      print(
        [...timelines, ...(openNow === undefined ? [] : [renderOpen(id, openNow, Date.now())])].join("\n"),
      );
    }
    return 0;
  });
}

/** An open task for programs, without its body. */
function openFacts({ queued, reply }: OpenTask): object {
  if (queued === undefined) return { reply };
  const { model, entry, hold, task } = queued;
  const { id, requestId: request, endpoint, stream, createdAt: at, deadline, keyName, tenant } = task;
  const shown = hold === undefined ? undefined : claimFacts(hold);
  const ids = { task: id, request, keyName, tenant };
  return { ...ids, endpoint, stream, model, entry, at, deadline, hold: shown, reply };
}

/** The oldest first. */
async function findEnded(summaries: SummaryLog, id: string): Promise<TaskSummary[]> {
  const found: TaskSummary[] = [];
  let before: string | undefined;
  for (;;) {
    const range = before === undefined ? { count: PAGE } : { before, count: PAGE };
    const entries = await summaries.latest(range);
    const matches = entries.filter(({ summary }) => summary.task === id || summary.request === id);
    append(
      found,
      matches.map(({ summary }) => summary),
    );
    before = entries.at(-1)?.id;
    if (before === undefined || found.length >= MOST_PRINTED)
      return found.slice(0, MOST_PRINTED).toReversed();
  }
}
