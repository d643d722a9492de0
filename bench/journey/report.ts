/** Prints the way of a request as Markdown. */
import { STEPS } from "./walk.ts";
import type { Step, Steps, Walk } from "./walk.ts";

const TITLES: Readonly<Record<Step, string>> = {
  down: "Down: from the client's bytes to the backend's",
  first: "The first token",
  token: "Up: each further token",
  end: "The end",
};

/** Pieces that a request crosses; the other folders have values, codecs and counters, which these use. */
const PIECES = /^(?:gateway|worker|redis|backends)\//;

export interface Totals {
  /** Files through which the request is handed on. */
  readonly files: number;
  /** Functions through which it is handed on, in each step. */
  readonly handing: Readonly<Record<Step, number>>;
  /** Files of gateway, worker, redis and backends with a function that is called. */
  readonly pieces: number;
  /** Files with a function that is called. */
  readonly calledFiles: number;
  readonly called: Readonly<Record<Step, number>>;
}

export function totalsOf({ called, handing }: Walk): Totals {
  const calledFiles = filesOf(called);
  return {
    files: filesOf(handing).length,
    handing: countsOf(handing),
    pieces: calledFiles.filter((file) => PIECES.test(file)).length,
    calledFiles: calledFiles.length,
    called: countsOf(called),
  };
}

/** @param path the endpoint's */
export function reportOf(path: string, walk: Walk): string {
  const totals = totalsOf(walk);
  const lines = [
    `# POST ${path}`,
    "",
    `Handed on through ${totals.files} files and functions: ${textOf(totals.handing)}.`,
    `Called: ${totals.calledFiles} files (${totals.pieces} of gateway, worker, redis, backends) and functions: ${textOf(totals.called)}.`,
    "",
    "Functions through which it is handed on stand before the bar, their helpers after it.",
  ];
  for (const step of STEPS) lines.push("", `## ${TITLES[step]}`, "", ...listOf(walk, step));
  return lines.join("\n");
}

function listOf({ called, handing }: Walk, step: Step): string[] {
  const byFile = Map.groupBy([...called[step]].filter(isFunction), (name) => {
    const { role, file } = partsOf(name);
    return `${role}: ${file}`;
  });
  return [...byFile].map(([file, its]) => {
    const [on, helpers] = [true, false].map((isOn) =>
      its.filter((name) => handing[step].has(name) === isOn).map((name) => partsOf(name).name),
    );
    return `- ${file}: ${(on ?? []).join(", ")} | ${(helpers ?? []).join(", ")}`;
  });
}

function textOf(counts: Readonly<Record<Step, number>>): string {
  return STEPS.map((step) => `${step} ${counts[step]}`).join(", ");
}

function countsOf(steps: Steps): Record<Step, number> {
  const count = (step: Step): number => [...steps[step]].filter(isFunction).length;
  return { down: count("down"), first: count("first"), token: count("token"), end: count("end") };
}

function filesOf(steps: Steps): string[] {
  return [...new Set(STEPS.flatMap((step) => [...steps[step]].map((name) => partsOf(name).file)))];
}

/** Accessors are left out: each is one field. */
function isFunction(name: string): boolean {
  return !/^[gs]et /.test(partsOf(name).name);
}

function partsOf(name: string): { readonly role: string; readonly file: string; readonly name: string } {
  const [role = "", file = "", ...rest] = name.split(": ");
  return { role, file, name: rest.join(": ") };
}
