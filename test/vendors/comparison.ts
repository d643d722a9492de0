import { explanationOf } from "./differences.ts";
import type { Outcomes } from "./pytest.ts";

/** A test that passes directly and not through the gateway. */
export interface Difference {
  readonly test: string;
  readonly reason: string;
  /** Undefined for one that nothing explains. */
  readonly explanation: string | undefined;
}

/** The outcomes of one file. */
export interface Comparison {
  readonly file: string;
  readonly direct: number;
  readonly gateway: number;
  readonly failedDirectly: readonly string[];
  readonly differences: readonly Difference[];
}

export function compare(
  file: string,
  { direct, gateway }: { readonly direct: Outcomes; readonly gateway: Outcomes },
): Comparison {
  const lost = [...direct].filter(([test, { outcome }]) => {
    return outcome === "passed" && gateway.get(test)?.outcome !== "passed";
  });
  return {
    file,
    direct: passedOf(direct),
    gateway: passedOf(gateway),
    failedDirectly: [...direct].flatMap(([test, { outcome, reason }]) =>
      outcome === "failed" ? [`${test}: ${reason}`] : [],
    ),
    differences: lost.map(([test]) => {
      const reason = gateway.get(test)?.reason ?? "not run";
      return { test, reason, explanation: explanationOf(test, reason) };
    }),
  };
}

/** The number of tests that passed. */
export function passedOf(outcomes: Outcomes): number {
  return [...outcomes.values()].filter(({ outcome }) => outcome === "passed").length;
}

/** A table, what failed, and how many differences nothing explains. */
export function report(comparisons: readonly Comparison[]): {
  readonly table: string;
  readonly open: number;
} {
  const sum = (of: (one: Comparison) => number): string => {
    return String(comparisons.reduce((total, one) => total + of(one), 0));
  };
  const rows = [
    ["file", "direct", "gateway", "differ"],
    ...comparisons.map((one) => [one.file, ...[one.direct, one.gateway, one.differences.length].map(String)]),
    ["all", sum((one) => one.direct), sum((one) => one.gateway), sum((one) => one.differences.length)],
  ];
  const width = Math.max(...rows.map(([name = ""]) => name.length));
  const lines = rows.map(([name = "", ...cells]) => {
    return name.padEnd(width) + cells.map((cell) => cell.padStart(9)).join("");
  });
  const differences = comparisons.flatMap((one) => one.differences);
  const failed = comparisons.flatMap((one) => one.failedDirectly);
  return {
    table: [
      ...lines,
      ...failed.map((line) => `failed directly: ${line}`),
      ...byExplanation(differences),
    ].join("\n"),
    open: differences.filter(({ explanation }) => explanation === undefined).length,
  };
}

function byExplanation(differences: readonly Difference[]): string[] {
  const groups = Map.groupBy(
    differences,
    ({ explanation, reason }) => explanation ?? `UNEXPLAINED: ${reason}`,
  );
  return [...groups].map(([why, list]) => {
    const names = list.map(({ test }) => `  ${test.slice(test.indexOf("::") + 2)}`);
    return [`${list.length} differ: ${why}`].concat(names).join("\n");
  });
}
