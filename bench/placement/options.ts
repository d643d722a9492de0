/** Flags of a run of the placement bench. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { workloads } from "./workloads.ts";

export interface PlacementOptions {
  /** Shorter windows and fewer workloads: a good minute in all. */
  readonly quick: boolean;
  /** The ways of a workload one after the other instead of at the same time. */
  readonly inTurn: boolean;
  /** Workloads by name; `alone` among them. */
  readonly only: readonly string[];
  /** Folder for the results; undefined writes none. */
  readonly out: string | undefined;
}

const RESULTS = path.relative(process.cwd(), fileURLToPath(new URL("../results", import.meta.url)));

/** Default workloads of a quick run. */
const QUICK: readonly string[] = ["p1", "p2", "p3", "p5", "alone"];

/** Reads the command line. Throws an Error that says which flag is wrong. */
export function readPlacementOptions(args: readonly string[]): PlacementOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      "in-turn": { type: "boolean", default: false },
      only: { type: "string" },
      out: { type: "string" },
    },
  });
  const known = [...workloads({ quick: values.quick }).map(({ name }) => name), "alone"];
  const only = values.only?.split(",") ?? (values.quick ? QUICK : known);
  if (only.some((name) => !known.includes(name))) {
    throw new Error(`--only takes a comma list of ${known.join(", ")}`);
  }
  const isWhole = !values.quick && values.only === undefined;
  return {
    quick: values.quick,
    inTurn: values["in-turn"],
    only,
    out: values.out ?? (isWhole ? RESULTS : undefined),
  };
}
