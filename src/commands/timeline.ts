import { isoTime } from "../core/iso-time.ts";
import type { KeyNames } from "../core/access/key-names.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import type { TaskSummary } from "../core/summary.ts";
import { greatest } from "../core/long-lists.ts";
import { escapedLine } from "../core/escaped-text.ts";
import type { OpenTask, QueuedEntry, ReplyState } from "../redis/inspect/open-tasks.ts";
import { duration } from "./duration.ts";

/** Timelines of requests, for `sgnet trace`. */

type Line = readonly [left: string, right: string];

/** The timeline of an ended request. */
export function renderEnded(summary: TaskSummary): string {
  const { request, task, endpoint, model, worker, attempts = 0, code, status } = summary;
  const facts: Line[] = [
    ["task", task],
    ...keyLines(summary),
    ["endpoint", `${endpoint}${summary.stream === true ? ", as a stream" : ""}`],
    ["model", model === "" ? "none: the request was refused earlier" : model],
    ["worker", `${worker ?? "none"}${attempts > 1 ? `, in attempt ${attempts}` : ""}`],
    ...(summary.backend === undefined ? [] : [["backend", summary.backend] as const]),
    ["outcome", `${code === "ok" ? "answered" : code}, status ${status}`],
    ...(summary.cause === undefined ? [] : [["cause", summary.cause] as const]),
    ...attemptLines(summary.tries),
  ];
  return render(`Request ${request}`, facts, [
    [isoTime(summary.at), "accepted by the gateway"],
    ...timesOf(summary),
    [since(summary.totalMs), endOf(summary)],
  ]);
}

/** The lines about the key of a request; none without a key. */
export function keyLines({ keyName, tenant }: KeyNames): Line[] {
  if (keyName === undefined) return [];
  return [["key", keyName], ...(tenant === undefined ? [] : [["tenant", tenant] as const])];
}

/** One line per attempt before the last. */
export function attemptLines(tries: readonly AttemptNote[] = []): Line[] {
  return tries.map((note, index) => [`attempt ${index + 1}`, attemptText(note)]);
}

function attemptText({ worker, backend, code, cause, http, ms }: AttemptNote): string {
  const status = http > 0 ? `, status ${http}` : "";
  const lasted = ms === undefined ? "" : `, after ${duration(ms)}`;
  return `${code}${status}, cause ${cause}: ${worker}${backend === undefined ? "" : ` on ${backend}`}${lasted}`;
}

function timesOf({ queuedMs, claimedMs, backendMs, firstByteMs }: TaskSummary): Line[] {
  const times: [number | undefined, string][] = [
    // A fast worker can claim a task before its gateway gets the confirmation of Redis.
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

/** Time of the backend's first byte, never after the client's: both are rounded. */
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
 * The timeline so far of an open request.
 * @param id the requested id
 * @param now ms since 1970
 */
export function renderOpen(id: string, { queued, reply }: OpenTask, now: number): string {
  if (queued === undefined)
    return render(`Task ${id}`, [], [["now", `it has no queue entry; ${replyState(reply)}`]]);
  const { task, model, entry } = queued;
  const facts: Line[] = [
    ["task", task.id],
    ...keyLines(task),
    ["endpoint", `${task.endpoint}${task.stream ? ", as a stream" : ""}`],
    ["model", model],
    ["queue entry", entry],
    ["given up at", isoTime(task.deadline)],
    ...attemptLines(reply?.notes),
  ];
  return render(`Request ${task.requestId}`, facts, [
    [isoTime(task.createdAt), "accepted by the gateway"],
    [since(now - task.createdAt), `now: ${queueState(queued)}; ${replyState(reply)}`],
  ]);
}

function queueState({ hold }: QueuedEntry): string {
  if (hold === undefined) return "waiting in the queue";
  const again = hold.deliveries > 1 ? `, delivery ${hold.deliveries}` : "";
  if (hold.requeued) return `requeued by ${hold.worker}, waiting for another try`;
  return `claimed by ${hold.worker}, last heard of ${duration(hold.idleMs)} ago${again}`;
}

function replyState(reply: ReplyState | undefined): string {
  if (reply === undefined) return "no client waits for the reply";
  if (reply.frames === 0) return "no frame yet";
  const state = reply.ended ? "answered" : "running";
  return `${state}: ${reply.frames} frames, ${reply.bytes} bytes, from ${reply.workers.join(", then ")}`;
}

function since(ms: number): string {
  return `+${duration(Math.max(0, ms))}`;
}

function render(title: string, facts: readonly Line[], times: readonly Line[]): string {
  const about = facts.map(([name, value]) => `  ${name.padEnd(12)} ${escapedLine(value)}`);
  const width = Math.max(0, greatest(times.map(([at]) => at.length)));
  const steps = times.map(([at, what]) => `  ${at.padEnd(width)}  ${escapedLine(what)}`);
  return `${[escapedLine(title), ...about, ...(about.length > 0 ? [""] : []), ...steps].join("\n")}\n`;
}
