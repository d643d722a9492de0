/** `make bench-micro`: costs of codecs and translators in µs, and in multiples of one JSON.parse of the same run. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineFacts } from "../machine.ts";
import { alignTable } from "../report.ts";
import { codecJobs } from "./codecs.ts";
import { time } from "./stopwatch.ts";
import type { Timing } from "./stopwatch.ts";
import { translatorJobs } from "./translators.ts";

const RESULTS = fileURLToPath(new URL("../results", import.meta.url));

const { values } = parseArgs({
  options: {
    /** Milliseconds per sample. */
    sample: { type: "string", default: "40" },
    out: { type: "string", default: RESULTS },
  },
});

/**
 * A table in Markdown. The shortest times are compared, as a disturbance makes a time longer, never shorter. Absolute
 * times depend on the machine; multiples of JSON.parse hardly do.
 */
function render(timings: readonly Timing[]): string {
  const yardstick = timings[0]?.min ?? Number.NaN;
  let last = "";
  const rows = timings.map(({ group, name, median, min }) => {
    const title = group === last ? "" : group;
    last = group;
    return [title, name, median.toFixed(2), min.toFixed(2), (min / yardstick).toFixed(1)];
  });
  return alignTable([["what", "case", "µs, median", "µs, least", "× JSON.parse"], ...rows]);
}

const sampleMs = Number(values.sample);
const patience = { warmMs: sampleMs * 3, sampleMs, samples: 9 };
const timings = [...codecJobs(), ...translatorJobs()].map((job) => time(job, patience));
const facts = Object.entries(machineFacts([])).map(([name, fact]) => `- ${name}: ${fact}`);
const text = `${facts.join("\n")}\n\n${render(timings)}`;
console.log(text);
mkdirSync(values.out, { recursive: true });
writeFileSync(path.join(values.out, "micro.md"), text);
