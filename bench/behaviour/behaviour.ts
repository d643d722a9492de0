/** M4 to M7: the behaviour of each variant, checked once after the measured rounds. */
import { Children } from "../children.ts";
import { startLeg } from "../legs.ts";
import type { LegContext, LegName } from "../legs.ts";
import type { LoadDialect } from "../cases.ts";
import { alignTable } from "../report.ts";
import { faultFindings } from "./faults.ts";
import { FULL_SLOTS, fullFindings } from "./full.ts";
import { LEAVING_SLOTS, leavingFindings } from "./leaving.ts";
import { memoryFindings } from "./memory.ts";
import { Backend } from "./rig.ts";
import type { BehaviourResult, Rig } from "./rig.ts";

/** Names of the checks, as `--cases` takes them. */
export const CHECK_NAMES: readonly string[] = ["m4", "m5", "m6", "m7"];

/** Options of the checks. */
export interface BehaviourOptions {
  readonly checks: readonly string[];
  readonly legs: readonly LegName[];
  readonly dialect: LoadDialect;
  readonly backend: LoadDialect;
  /** Open streams of M4. */
  readonly streams: number;
  /** An empty folder for data. */
  readonly folder: string;
}

interface Check {
  readonly backends: number;
  readonly slots: number;
  readonly take: (rig: Rig, options: BehaviourOptions) => Promise<readonly BehaviourResult[]>;
}

const CHECKS: Readonly<Record<string, Check>> = {
  m4: { backends: 1, slots: 100_000, take: (rig, { streams }) => memoryFindings(rig, streams) },
  m5: { backends: 1, slots: LEAVING_SLOTS, take: leavingFindings },
  m6: { backends: 2, slots: 100, take: faultFindings },
  m7: { backends: 2, slots: FULL_SLOTS, take: fullFindings },
};

/**
 * Runs each check on each variant, with fresh processes of its own.
 *
 * @param onChildren receives the processes of the running check, for a caller that has to end them early
 */
export async function behaviourFindings(
  options: BehaviourOptions,
  onChildren: (children: Children) => void,
): Promise<readonly BehaviourResult[]> {
  const found: BehaviourResult[] = [];
  for (const name of options.checks) {
    for (const leg of options.legs) {
      const check = CHECKS[name];
      // The skeleton takes no faults into account: only its memory is comparable.
      if (check === undefined || (leg === "skeleton" && name !== "m4")) continue;
      try {
        found.push(...(await runCheck(check, leg, options, onChildren)));
      } catch (error) {
        console.log(`Skipped: ${name} of ${leg}. ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return found;
}

async function runCheck(
  check: Check,
  leg: LegName,
  options: BehaviourOptions,
  onChildren: (children: Children) => void,
): Promise<readonly BehaviourResult[]> {
  const children = new Children();
  onChildren(children);
  const { folder, dialect } = options;
  const start: LegContext = {
    children,
    folder,
    backendPorts: [],
    slots: check.slots,
    processes: 1,
    workers: 1,
    backendDialect: options.backend,
  };
  try {
    const backends: Backend[] = [];
    for (let count = 0; count < check.backends; count += 1) backends.push(await Backend.start(start));
    const context = { ...start, backendPorts: backends.map(({ port }) => port) };
    return await check.take({ leg: await startLeg(leg, context), backends, dialect }, options);
  } finally {
    await children.stopAll();
  }
}

/** The table in Markdown: a column per way, a row per figure. */
export function renderFindings(legs: readonly LegName[], findings: readonly BehaviourResult[]): string {
  const rows = new Map<string, string[]>();
  let last = "";
  for (const { case: title, figure } of findings) {
    const key = `${title} ${figure}`;
    if (rows.has(key)) continue;
    const mine = findings.filter((it) => it.case === title && it.figure === figure);
    const texts = legs.map((leg) => mine.find((it) => it.leg === leg)?.text ?? "–");
    rows.set(key, [title === last ? "" : title, figure, ...texts]);
    last = title;
  }
  return alignTable([["behaviour", "figure", ...legs], ...rows.values()]);
}
