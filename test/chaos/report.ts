import { codeOf } from "./checker.ts";
import type { Verdict } from "./engine.ts";
import type { Asked, Disturbance, History } from "./history.ts";

/** Counts of the requests that were open while one kind of fault lasted. */
export interface Tally {
  readonly fault: string;
  readonly times: number;
  readonly requests: number;
  readonly answered: number;
  readonly left: number;
  readonly reruns: number;
  /** Longest time from the end of the fault to the next answer of a gateway, ms. */
  readonly recoveryMs: number;
  /** Longest time without an answer of a gateway that began while the fault lasted, ms. */
  readonly silenceMs: number;
  /** Counts by error code. */
  readonly errors: ReadonlyMap<string, number>;
}

/** The report of a run: a table of the faults and one line of sums. */
export function reportOf({ history, breaches }: Verdict): string {
  const head = [
    "fault",
    "times",
    "requests",
    "answered",
    "left",
    "reruns",
    "recovery ms",
    "silence ms",
    "errors",
  ];
  const rows = talliesOf(history).map(cellsOf);
  return [table([head, ...rows]), sumsOf(history), `breaches: ${breaches.length}`].join("\n");
}

function cellsOf(tally: Tally): string[] {
  const { fault, times, requests, answered, left, reruns, recoveryMs, silenceMs, errors } = tally;
  const numbers = [times, requests, answered, left, reruns, Math.round(recoveryMs), Math.round(silenceMs)];
  return [fault, ...numbers.map(String), told(errors)];
}

/** One for each kind of fault that there was, by name. */
export function talliesOf(history: History): Tally[] {
  const names = [...new Set(history.disturbances.map(({ fault }) => fault))].toSorted();
  return names.map((name) => tallyOf(name, history));
}

/** The table of several runs, as docs/guarantees.md has it. */
export function summaryOf(tallies: readonly Tally[]): string {
  const byFault = Map.groupBy(
    tallies.toSorted((a, b) => a.fault.localeCompare(b.fault)),
    ({ fault }) => fault,
  );
  const rows = [...byFault].map(([fault, some]) => [
    `\`${fault}\``,
    sum(some, "times"),
    sum(some, "requests"),
    sum(some, "reruns"),
    most(some, "silenceMs"),
    most(some, "recoveryMs"),
    told(merged(some.map(({ errors }) => errors)), "`"),
  ]);
  const head = ["fault", "times", "requests", "run again", "no answer for, s", "recovery, s", "errors"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function sum(tallies: readonly Tally[], name: "times" | "requests" | "reruns"): number {
  return tallies.reduce((total, tally) => total + tally[name], 0);
}

function most(tallies: readonly Tally[], name: "silenceMs" | "recoveryMs"): string {
  return (Math.max(...tallies.map((tally) => tally[name])) / 1000).toFixed(1);
}

function merged(counts: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const [name, times] of counts.flatMap((one) => [...one])) all.set(name, (all.get(name) ?? 0) + times);
  return new Map([...all].toSorted(([, a], [, b]) => b - a));
}

/** The requests that were open during faults of this name. */
function tallyOf(name: string, history: History): Tally {
  const faults = history.disturbances.filter(({ fault }) => fault === name);
  const met = history.asked.filter((asked) =>
    faults.some(({ from, to }) => from <= asked.endedAt && to >= asked.sentAt),
  );
  return {
    fault: name,
    times: faults.length,
    requests: met.length,
    answered: count(met, "complete"),
    left: count(met, "left"),
    reruns: rerunsOf(met, history),
    recoveryMs: Math.max(0, ...faults.map((fault) => recoveryOf(fault, history))),
    silenceMs: Math.max(0, ...faults.map((fault) => silenceOf(fault, history))),
    errors: errorsOf(met),
  };
}

function count(asked: readonly Asked[], ending: Asked["ending"]): number {
  return asked.filter((one) => one.ending === ending).length;
}

function rerunsOf(asked: readonly Asked[], { runs }: History): number {
  const ids = new Set(asked.map(({ wish }) => wish.id));
  const worked = runs.filter(({ id, outcome }) => ids.has(id) && outcome !== "refused");
  return worked.length - new Set(worked.map(({ id }) => id)).size;
}

/** So long after a master is lost its loss is felt at most, ms. */
const MASTER_FELT_MS = 20_000;

/** The latest time at which a fault has effects. A lost master counts until another replaces it. */
function feltUntil({ fault, from, to }: Disturbance): number {
  return fault.startsWith("master") ? from + MASTER_FELT_MS : to;
}

/** The gateways that no other fault befell meanwhile. */
function seatsIn(felt: Disturbance, { disturbances }: History): number[] {
  const until = feltUntil(felt);
  const others = disturbances.filter(
    (one) => one !== felt && one.fault.startsWith("gateway") && one.from <= until && one.to >= felt.from,
  );
  return [0, 1].filter((seat) => others.every(({ target }) => target !== seat));
}

/** When a gateway answered, in ascending order. */
function answersOf(seat: number, asked: readonly Asked[]): number[] {
  const answered = asked.filter((one) => one.seat === seat && one.ending === "complete");
  return answered.map(({ endedAt }) => endedAt).toSorted((a, b) => a - b);
}

/** From the end of the fault to the first answer of the gateway that is answered last, ms. */
function recoveryOf(fault: Disturbance, history: History): number {
  // A replica replaces a lost master, so its own return does not matter.
  if (fault.fault.startsWith("master")) return silenceOf(fault, history);
  const { to } = fault;
  const first = seatsIn(fault, history).map((seat) => {
    return answersOf(seat, history.asked).find((endedAt) => endedAt > to) ?? to;
  });
  return Math.max(to, ...first) - to;
}

/** The longest time in which a gateway gave no answer, of those that began while the fault was felt, ms. */
function silenceOf(felt: Disturbance, history: History): number {
  const { from } = felt;
  const until = feltUntil(felt);
  const gaps = seatsIn(felt, history).flatMap((seat) => {
    const ends = answersOf(seat, history.asked).filter((endedAt) => endedAt >= from);
    return ends.map((endedAt, index) => ({ since: ends[index - 1] ?? from, endedAt }));
  });
  const begun = gaps.filter(({ since }) => since <= until);
  return Math.max(0, ...begun.map(({ since, endedAt }) => endedAt - since));
}

function errorsOf(asked: readonly Asked[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of asked) {
    const { ending, status } = one;
    if (ending === undefined || ending === "complete" || ending === "left") continue;
    const name = ending === "error" ? (codeOf(one) ?? String(status)) : ending;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function told(errors: ReadonlyMap<string, number>, quote = ""): string {
  return [...errors].map(([name, times]) => `${quote}${name}${quote} ${times}`).join(", ");
}

function sumsOf(history: History): string {
  const { asked } = history;
  const longest = Math.max(
    0,
    ...asked.map(({ sentAt, endedAt }) => endedAt - sentAt).filter(Number.isFinite),
  );
  const largest = Math.max(0, ...history.memory.map(({ bytes }) => bytes));
  const parts = [
    `${asked.length} requests`,
    `${count(asked, "complete")} answered`,
    `${count(asked, "left")} left by their clients`,
    `${rerunsOf(asked, history)} reruns`,
    `errors: ${told(errorsOf(asked))}`,
    `longest ${Math.round(longest)} ms`,
    `largest process ${Math.round(largest / 2 ** 20)} MB`,
  ];
  return parts.join("; ");
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
