import type { AttemptNote } from "../core/attempt-note.ts";
import type { TaskSummary } from "../core/summary.ts";
import { greatest } from "../core/long-lists.ts";
import { plainLine } from "../core/plain-text.ts";
import type { OpenTask, QueuedEntry, ReplyState } from "../redis/open-task.ts";
import { duration } from "./duration.ts";

/** Stories of requests, for `sgnet trace`. */

type Line = readonly [left: string, right: string];

/** The story of a request that is over. */
export function tellEnded(summary: TaskSummary): string {
  const { request, task, endpoint, model, worker, attempts = 0, code, status } = summary;
  const facts: Line[] = [
    ["task", task],
    ["endpoint", `${endpoint}${summary.stream === true ? ", as a stream" : ""}`],
    ["model", model === "" ? "none: it was refused before" : model],
    ["worker", `${worker ?? "none"}${attempts > 1 ? `, in attempt ${attempts}` : ""}`],
    ...(summary.backend === undefined ? [] : [["backend", summary.backend] as const]),
    ["outcome", `${code === "ok" ? "answered" : code}, status ${status}`],
    ...(summary.cause === undefined ? [] : [["cause", summary.cause] as const]),
    ...triesOf(summary.tries),
  ];
  return render(`Request ${request}`, facts, [
    [new Date(summary.at).toISOString(), "accepted by the gateway"],
    ...timesOf(summary),
    [since(summary.totalMs), endOf(summary)],
  ]);
}

/** One line for each attempt before the last. */
export function triesOf(tries: readonly AttemptNote[] = []): Line[] {
  return tries.map((note, index) => [`attempt ${index + 1}`, tryOf(note)]);
}

function tryOf({ worker, backend, code, cause, http, ms }: AttemptNote): string {
  const status = http > 0 ? `, status ${http}` : "";
  const lasted = ms === undefined ? "" : `, after ${duration(ms)}`;
  return `${code}${status}, cause ${cause}: ${worker}${backend === undefined ? "" : ` on ${backend}`}${lasted}`;
}

function timesOf({ queuedMs, claimedMs, backendMs, firstByteMs }: TaskSummary): Line[] {
  const times: [number | undefined, string][] = [
    // A quick worker claims a task before its gateway hears that it is queued; Redis has it by then.
    [queuedMs === undefined ? undefined : Math.min(queuedMs, claimedMs ?? Infinity), "queued: Redis has it"],
    [claimedMs, "claimed by the worker that answered"],
    [backendByte(claimedMs, backendMs, firstByteMs), "first byte from the backend"],
    [firstByteMs, "first byte to the client"],
  ];
  return times
    .flatMap(([at, what]) => (at === undefined ? [] : [{ at, what }]))
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, what }) => [since(at), what]);
}

/** Never after the client's: each part is rounded. */
function backendByte(claimed?: number, backend?: number, client?: number): number | undefined {
  if (claimed === undefined || backend === undefined) return undefined;
  return Math.min(claimed + backend, client ?? Infinity);
}

function endOf(summary: TaskSummary): string {
  const { code, leftIn, promptTokens, completionTokens, bytes = 0 } = summary;
  if (leftIn !== undefined) return `the client left (${leftIn})`;
  if (code !== "ok") return `ended: ${code}`;
  const tokens =
    completionTokens === undefined ? "" : `${promptTokens ?? 0} tokens in, ${completionTokens} out, `;
  return `answered: ${tokens}${bytes} bytes${speedOf(summary)}`;
}

function speedOf({ completionTokens = 0, firstByteMs, totalMs, stream }: TaskSummary): string {
  const ms = totalMs - (firstByteMs ?? totalMs);
  if (stream !== true || completionTokens < 2 || ms <= 0) return "";
  return `, ${(((completionTokens - 1) * 1000) / ms).toFixed(1)} tokens/s`;
}

/**
 * The story so far of a request that is not over.
 * @param id as it was asked for
 * @param now ms since 1970
 */
export function tellOpen(id: string, { queued, reply }: OpenTask, now: number): string {
  if (queued === undefined)
    return render(`Task ${id}`, [], [["now", `it has no queue entry; ${replyState(reply)}`]]);
  const { task, model, entry } = queued;
  const facts: Line[] = [
    ["task", task.id],
    ["endpoint", `${task.endpoint}${task.stream ? ", as a stream" : ""}`],
    ["model", model],
    ["queue entry", entry],
    ["given up at", new Date(task.deadline).toISOString()],
    ...triesOf(reply?.notes),
  ];
  return render(`Request ${task.requestId}`, facts, [
    [new Date(task.createdAt).toISOString(), "accepted by the gateway"],
    [since(now - task.createdAt), `now: ${holdState(queued)}; ${replyState(reply)}`],
  ]);
}

function holdState({ hold }: QueuedEntry): string {
  if (hold === undefined) return "waiting in the queue";
  const again = hold.deliveries > 1 ? `, delivery ${hold.deliveries}` : "";
  if (hold.handedBack) return `handed back by ${hold.worker}, waiting for another try`;
  return `claimed by ${hold.worker}, last heard of ${duration(hold.idleMs)} ago${again}`;
}

function replyState(reply: ReplyState | undefined): string {
  if (reply === undefined) return "nobody waits for the reply";
  if (reply.frames === 0) return "no frame yet";
  const state = reply.ended ? "answered" : "running";
  return `${state}: ${reply.frames} frames, ${reply.bytes} bytes, from ${reply.workers.join(", then ")}`;
}

function since(ms: number): string {
  return `+${duration(Math.max(0, ms))}`;
}

function render(title: string, facts: readonly Line[], times: readonly Line[]): string {
  const about = facts.map(([name, value]) => `  ${name.padEnd(12)} ${plainLine(value)}`);
  const width = Math.max(0, greatest(times.map(([at]) => at.length)));
  const story = times.map(([at, what]) => `  ${at.padEnd(width)}  ${plainLine(what)}`);
  return `${[plainLine(title), ...about, ...(about.length > 0 ? [""] : []), ...story].join("\n")}\n`;
}
