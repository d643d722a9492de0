/**
 * `make bench-sharing`: the promises of keys and limits, measured on real gateways and one real Redis. It ends with 1 when
 * one of them is broken.
 */
import { parseArgs } from "node:util";
import { machineFacts } from "../machine.ts";
import { holds, renderClaims } from "./claim.ts";
import type { Claim, Part } from "./claim.ts";
import { COST } from "./cost.ts";
import { RATES } from "./fleet-rates.ts";
import { REFUNDS } from "./refunds.ts";
import { REVOKE } from "./revoke.ts";
import { OPEN_REQUESTS } from "./slots.ts";
import { USAGE } from "./usage.ts";

const PARTS: readonly Part[] = [RATES, OPEN_REQUESTS, REFUNDS, REVOKE, USAGE, COST];

interface SharingOptions {
  readonly quick: boolean;
  /** Folder of another checkout that `cost` compares with. */
  readonly base: string | undefined;
  readonly parts: readonly Part[];
}

/** Reads the command line. Throws an Error that says which flag is wrong. */
function readSharingOptions(args: readonly string[]): SharingOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      base: { type: "string" },
    },
  });
  const known = PARTS.map(({ name }) => name);
  const only = values.only?.split(",") ?? known;
  if (only.some((name) => !known.includes(name))) {
    throw new Error(`--only takes a comma list of ${known.join(", ")}`);
  }
  return { quick: values.quick, base: values.base, parts: PARTS.filter(({ name }) => only.includes(name)) };
}

const { quick, base, parts } = readSharingOptions(process.argv.slice(2));
for (const [name, fact] of Object.entries(machineFacts([]))) console.log(`- ${name}: ${fact}`);
const results: (readonly [string, readonly Claim[]])[] = [];
for (const part of parts) {
  const { name, title } = part;
  const begin = performance.now();
  results.push([name, await part.measure({ quick, base })]);
  console.log(`${name}, ${title}: took ${((performance.now() - begin) / 1000).toFixed(0)} s.`);
}
console.log(`\n${renderClaims(results)}`);
const broken = results.flatMap(([name, claims]) =>
  claims.filter((claim) => !holds(claim)).map(({ text }) => `${name}: ${text}`),
);
for (const text of broken) console.log(`FAILED: ${text}`);
process.exitCode = broken.length === 0 ? 0 : 1;
