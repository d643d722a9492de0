import { spawn } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import type { Python } from "../rig/python.ts";
import type { SuiteFile } from "./suites.ts";

/** The outcome of one test. */
export interface TestOutcome {
  readonly outcome: "passed" | "failed" | "skipped";
  /** In one line; empty for one that passed. */
  readonly reason: string;
}

/** The outcomes by name: `tests/x.py::Class::test[variant]`. */
export type Outcomes = ReadonlyMap<string, TestOutcome>;

export interface PytestRun {
  readonly python: Python;
  /** The SDK's sources. */
  readonly folder: string;
  readonly file: SuiteFile;
  /** For `TEST_API_BASE_URL`. */
  readonly baseUrl: string;
}

const OUTCOMES: Readonly<Record<string, TestOutcome["outcome"]>> = {
  PASSED: "passed",
  FAILED: "failed",
  ERROR: "failed",
  SKIPPED: "skipped",
  XFAIL: "passed",
};

/** Runs tests of an SDK against a server; throws where pytest itself cannot run. */
export async function runPytest({ python, folder, file, baseUrl }: PytestRun): Promise<Outcomes> {
  const quiet = ["-q", "-rA", "--tb=no", "--no-header", "--durations=0", "-n", "0", "-p", "no:cacheprovider"];
  const child = spawn(python.command, ["-m", "pytest", ...quiet, file.path, "-k", file.only], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      // Long lines, so that no reason is cut.
      COLUMNS: "2000",
      NO_COLOR: "1",
      PYTHONDONTWRITEBYTECODE: "1",
      PYTHONPATH: [join(folder, "src"), python.packages].join(delimiter),
      TEST_API_BASE_URL: baseUrl,
    },
  });
  const [out, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  // 1: tests failed. 5: none was found, as a file that a version does not have.
  if (code !== 0 && code !== 1 && code !== 5) throw new Error(`pytest ended with ${code}:\n${out}${errors}`);
  return outcomesIn(out);
}

/** Reads the summary that `-rA` prints: `FAILED tests/x.py::A::b[strict] - reason`. */
export function outcomesIn(output: string): Outcomes {
  const found = new Map<string, TestOutcome>();
  for (const line of output.split("\n")) {
    const [, word = "", name = "", reason = ""] = /^([A-Z]+) (\S+)(?: - (.*))?$/.exec(line) ?? [];
    const outcome = OUTCOMES[word];
    if (outcome !== undefined && name.includes("::")) found.set(name, { outcome, reason });
  }
  return found;
}
