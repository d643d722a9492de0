/** The figures taken from a measurement: the rows of the table. */
import type { ResourceUse, LoadReport } from "./load-spec.ts";

/** One row of the table. */
export interface Metric {
  readonly label: string;
  readonly digits: number;
  /** The figure of one measurement; undefined where it has no meaning (cost of no process). */
  readonly of: (report: LoadReport) => number | undefined;
  /** Also shown as what each way adds to the direct one of the same round. */
  readonly added?: boolean;
  /** Says nothing as a ratio of two ways. */
  readonly alone?: boolean;
}

/** The processes that a way with several of them is made of, each shown with its share of the CPU. */
export const PARTS: readonly string[] = ["gateway", "worker", "redis"];

/** Processes of the bench itself, which no way is charged for. */
const TOOLS: ReadonlySet<string> = new Set(["load", "backend"]);

export const REQUESTS: Metric = {
  label: "requests/s",
  digits: 0,
  of: (report) => report.requests / report.seconds,
};
export const TOKENS: Metric = {
  label: "tokens/s",
  digits: 0,
  of: (report) => report.tokens / report.seconds,
};
export const RSS: Metric = {
  label: "RSS MB",
  digits: 0,
  of: (report) => ofSystem(report, ({ rssMb }) => rssMb),
};
export const LATENCY: readonly Metric[] = [
  { label: "latency p50 ms", digits: 2, of: (report) => report.latency.p50 / 1000 },
  { label: "latency p99 ms", digits: 2, of: (report) => report.latency.p99 / 1000 },
];
export const GAP: readonly Metric[] = [
  { label: "gap p50 ms", digits: 1, of: (report) => report.gap.p50 / 1000 },
  { label: "gap p99 ms", digits: 1, of: (report) => report.gap.p99 / 1000 },
];
export const FIRST_TOKEN: readonly Metric[] = [
  { label: "first token p50 µs", digits: 0, of: (report) => report.first.p50, added: true },
  { label: "first token p99 µs", digits: 0, of: (report) => report.first.p99, added: true },
];
export const CPU_PER_REQUEST: readonly Metric[] = byProcess("CPU µs/request", 0, ({ requests }) => requests);
export const CPU_PER_TOKEN: readonly Metric[] = byProcess("CPU s/1M tokens", 1, ({ tokens }) => tokens);

/** CPU of other processes on the machine. The larger it is, the less the other figures mean. */
export const OTHERS: Metric = {
  label: "CPUs busy with other work",
  digits: 2,
  alone: true,
  of: (report) => report.othersCpuS / report.seconds,
};

/** CPU per unit of work in µs (or s per million): the total of all tested processes, then each part. */
function byProcess(label: string, digits: number, count: (report: LoadReport) => number): readonly Metric[] {
  const all: Metric = { label, digits, of: (report) => per(ofSystem(report, cpuOf), count(report)) };
  const parts = PARTS.map((role): Metric => {
    const of = (report: LoadReport): number | undefined => shareOf(report, role, count(report));
    return { label: `${label}, ${role}`, digits, of };
  });
  return [all, ...parts];
}

/** CPU of a part per unit of work in µs, all its processes together; undefined where there is no such part or work. */
export function shareOf(report: LoadReport, part: string, count: number): number | undefined {
  const mine = Object.entries(report.expenses).filter(
    ([role]) => role === part || role.startsWith(`${part} `),
  );
  return mine.length === 0
    ? undefined
    : per(
        mine.reduce((sum, [, { cpuS }]) => sum + cpuS, 0),
        count,
      );
}

function cpuOf({ cpuS }: ResourceUse): number {
  return cpuS;
}

/** The sum over the processes under test; undefined of none. */
function ofSystem(report: LoadReport, take: (expense: ResourceUse) => number): number | undefined {
  const system = Object.entries(report.expenses).filter(([role]) => !TOOLS.has(role));
  return system.length === 0 ? undefined : system.reduce((sum, [, expense]) => sum + take(expense), 0);
}

function per(cpuS: number | undefined, count: number): number | undefined {
  return cpuS === undefined || count === 0 ? undefined : (cpuS * 1e6) / count;
}
