import type { Breach } from "./checker.ts";
import type { Asked, Disturbance, History } from "./history.ts";

interface Moment {
  readonly at: number;
  readonly text: string;
}

export interface LogLine {
  readonly who: string;
  readonly line: string;
}

/** Adds to each request the code that its gateway logged for it. Lines of workers name requests too, and no end. */
export function addCodes(asked: readonly Asked[], lines: readonly LogLine[]): void {
  const byId = new Map(asked.map((one) => [one.wish.id, one]));
  for (const { line } of lines) {
    if (!line.includes('"message":"request"')) continue;
    const { request, code } = JSON.parse(line) as { request?: string; code?: string };
    const one = byId.get(request ?? "");
    if (one !== undefined) one.code = code;
  }
}

/** The events of the request that a breach concerns. */
export function storyOf(breach: Breach, history: History, lines: readonly LogLine[]): string {
  const head = `${breach.rule}${breach.id === undefined ? "" : ` (${breach.id})`}: ${breach.what}`;
  const asked = history.asked.find(({ wish }) => wish.id === breach.id);
  return asked === undefined ? head : `${head}\n${lifeOf(asked, history, lines)}`;
}

/** The events of a request in the order of time, in brief. */
export function lifeOf(asked: Asked, history: History, lines: readonly LogLine[]): string {
  const runs = history.runs.filter(({ id }) => id === asked.wish.id);
  const last = Math.max(
    asked.sentAt,
    ...[asked.endedAt, ...runs.map(({ endedAt }) => endedAt)].filter(Number.isFinite),
  );
  const felt = history.disturbances.filter(({ from, to }) => from <= last && to >= asked.sentAt - 5000);
  const moments: Moment[] = [
    ...clientMoments(asked),
    ...runs.flatMap((run): Moment[] => [
      { at: run.startedAt, text: "  a backend begins" },
      { at: run.endedAt, text: `  a backend ${run.outcome} after ${run.tokens} tokens` },
    ]),
    ...felt.flatMap(disturbanceMoments),
  ];
  const told = moments
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, text }) => `${String(Math.round(at - asked.sentAt)).padStart(7)} ms ${text}`);
  return [...told, ...logOf(asked, lines)].join("\n");
}

function clientMoments(asked: Asked): Moment[] {
  const { wish, seat, status, tokens, ending, code, detail } = asked;
  const kind = `${wish.dialect}, ${wish.stream ? "stream" : "whole"}, ${wish.tokens} tokens`;
  const first = asked.firstTokenAt;
  return [
    { at: asked.sentAt, text: `asked gateway ${seat}: ${kind}` },
    ...(first === undefined ? [] : [{ at: first, text: "first token" }]),
    {
      at: asked.endedAt,
      text: `${ending ?? "still open"}: ${status} ${code ?? ""} after ${tokens} tokens ${detail}`,
    },
  ];
}

function disturbanceMoments({ fault, target, from, to }: Disturbance): Moment[] {
  return [
    { at: from, text: `    ${fault} ${target}` },
    { at: to, text: `    ${fault} ${target} mended` },
  ];
}

/** Lines that name the request, or its task. */
function logOf(asked: Asked, lines: readonly LogLine[]): string[] {
  const own = lines.find(({ line }) => line.includes(`"request":"${asked.wish.id}"`));
  const task = own === undefined ? undefined : /"task":"([^"]+)"/.exec(own.line)?.[1];
  if (task === undefined) return [];
  return lines
    .filter(({ line }) => line.includes(`"task":"${task}"`))
    .map(({ who, line }) => `${who}: ${line}`);
}
