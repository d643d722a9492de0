import type { Verdict } from "./engine.ts";
import type { Asked, Disturbance, History } from "./history.ts";

/** What a run did, as a table of the faults and one line of sums. */
export function reportOf({ history, breaches }: Verdict): string {
  const names = [...new Set(history.disturbances.map(({ fault }) => fault))].toSorted();
  const rows = names.map((name) => rowOf(name, history));
  const head = ["fault", "times", "requests", "answered", "left", "reruns", "recovery ms", "errors"];
  return [table([head, ...rows]), sumsOf(history), `breaches: ${breaches.length}`].join("\n");
}

/** The requests that were open during faults of this name. */
function rowOf(name: string, history: History): string[] {
  const faults = history.disturbances.filter(({ fault }) => fault === name);
  const met = history.asked.filter((asked) =>
    faults.some(({ from, to }) => from <= asked.endedAt && to >= asked.sentAt),
  );
  const recovery = Math.max(0, ...faults.map((fault) => recoveryOf(fault, history.asked)));
  return [
    name,
    String(faults.length),
    String(met.length),
    String(count(met, "complete")),
    String(count(met, "left")),
    String(rerunsOf(met, history)),
    String(Math.round(recovery)),
    errorsOf(met),
  ];
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

/**
 * From the end of the fault to the first answer of the gateway that is answered last, ms. For a lost master, whose own
 * return nobody waits for, the longest time in which a gateway gave no answer.
 */
function recoveryOf({ fault, from, to }: Disturbance, asked: readonly Asked[]): number {
  if (fault.startsWith("master")) return Math.max(...[0, 1].map((seat) => longestGap(seat, from, asked)));
  const first = [0, 1].map((seat) => {
    const ends = asked
      .filter((one) => one.seat === seat && one.ending === "complete" && one.endedAt > to)
      .map(({ endedAt }) => endedAt);
    return ends.length === 0 ? 0 : Math.min(...ends) - to;
  });
  return Math.max(...first);
}

function longestGap(seat: number, from: number, asked: readonly Asked[]): number {
  const ends = asked
    .filter((one) => one.seat === seat && one.ending === "complete")
    .map(({ endedAt }) => endedAt)
    .filter((endedAt) => endedAt >= from && endedAt <= from + MASTER_FELT_MS)
    .toSorted((a, b) => a - b);
  return Math.max(...ends.map((endedAt, index) => endedAt - (ends[index - 1] ?? from)));
}

function errorsOf(asked: readonly Asked[]): string {
  const counts = new Map<string, number>();
  for (const { ending, code, status } of asked) {
    if (ending === undefined || ending === "complete" || ending === "left") continue;
    const name = ending === "error" ? (code ?? String(status)) : ending;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, times]) => `${name} ${times}`).join(", ");
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
    `errors: ${errorsOf(asked)}`,
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
