/** Flags of a bench run. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CHECK_NAMES } from "./behaviour/behaviour.ts";
import { FULL_CASES, caseNamed, quickCases } from "./cases.ts";
import type { BenchCase, LoadDialect } from "./cases.ts";
import { LEG_NAMES } from "./legs.ts";
import type { LegName } from "./legs.ts";
import { PEERS, installedPeers } from "./peers.ts";

/** Options of a run. */
export interface BenchOptions {
  // 13 fields: one per flag of the command
  readonly rounds: number;
  /** Length of each measuring window in s. */
  readonly seconds: number;
  /** A run of seconds that judges itself: integrity and ratios only. */
  readonly quick: boolean;
  readonly legs: readonly LegName[];
  readonly cases: readonly BenchCase[];
  /** Looks at behaviour, `m4` to `m7`, once after the rounds. */
  readonly checks: readonly string[];
  /** Gateway processes on one port, and workers, in the rounds. */
  readonly processes: number;
  readonly workers: number;
  /** Open streams of the memory check. */
  readonly streams: number;
  /** The API that the load speaks. */
  readonly dialect: LoadDialect;
  /** The API between worker and backend; default: that of the load, so that replies are relayed. */
  readonly backend: LoadDialect;
  /** No round is begun that would end later than this many s after the start. */
  readonly limitS: number;
  /** Folder for the results; undefined writes none. */
  readonly out: string | undefined;
}

const RESULTS = path.relative(process.cwd(), fileURLToPath(new URL("results", import.meta.url)));

interface Usual {
  readonly rounds: string;
  readonly seconds: string;
  readonly legs: readonly LegName[];
  readonly out: string | undefined;
}

const FULL: Usual = { rounds: "3", seconds: "1", legs: LEG_NAMES, out: RESULTS };
/** A quick run judges ratios to the floor, so it needs no direct column. */
const QUICK: Usual = { rounds: "4", seconds: "0.8", legs: ["floor", "gateway"], out: undefined };

/** Reads the command line. Throws an Error that says which flag is wrong. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      limit: { type: "string", default: "300" },
      legs: { type: "string" },
      peers: { type: "boolean", default: false },
      cases: { type: "string", default: "" },
      dialect: { type: "string", default: "ollama" },
      backend: { type: "string" },
      streams: { type: "string", default: "1000" },
      processes: { type: "string", default: "1" },
      workers: { type: "string", default: "1" },
      out: { type: "string" },
    },
  });
  const { quick } = values;
  const usual = quick ? QUICK : FULL;
  const peers = values.peers ? installedPeers() : [];
  const asked = values.cases === "" ? [...FULL_CASES, ...CHECK_NAMES] : values.cases.split(",");
  return {
    quick,
    rounds: positive("rounds", values.rounds ?? usual.rounds),
    seconds: positive("seconds", values.seconds ?? usual.seconds),
    legs: legsOf(values.legs ?? [...usual.legs, ...peers].join(",")),
    cases: quick && values.cases === "" ? quickCases() : casesOf(asked.filter((name) => !isLook(name))),
    checks: quick && values.cases === "" ? [] : asked.filter(isLook),
    streams: positive("streams", values.streams),
    processes: positive("processes", values.processes),
    workers: positive("workers", values.workers),
    dialect: dialectOf("dialect", values.dialect),
    backend: dialectOf("backend", values.backend ?? values.dialect),
    limitS: positive("limit", values.limit),
    out: values.out ?? usual.out,
  };
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${flag} takes a number above 0`);
  return value;
}

function legsOf(text: string): readonly LegName[] {
  const asked = text.split(",");
  const known = [...LEG_NAMES, ...PEERS.map(({ name }) => name)];
  const legs = known.filter((name) => asked.includes(name));
  if (legs.length !== asked.length) throw new Error(`--legs takes a comma list of ${known.join(", ")}`);
  return legs;
}

function isLook(name: string): boolean {
  return CHECK_NAMES.includes(name);
}

function casesOf(names: readonly string[]): readonly BenchCase[] {
  return names.map((name) => {
    const found = caseNamed(name);
    if (found === undefined) {
      throw new Error(`--cases takes a comma list such as ${[...FULL_CASES, ...CHECK_NAMES].join(",")}`);
    }
    return found;
  });
}

function dialectOf(flag: string, text: string): LoadDialect {
  if (text !== "ollama" && text !== "openai") throw new Error(`--${flag} is ollama or openai`);
  return text;
}
