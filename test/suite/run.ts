import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { warmCompileCache } from "./compile-cache.ts";
import { entriesOf, testFiles } from "./entries.ts";
import { TestNames } from "./names.ts";
import { slowestFirst } from "./slowest.ts";

/**
 * Runs all tests, or those of the files and folders that are named:
 *
 *     node test/suite/run.ts [--files-at-once 4] [--names FILE] [test/redis test/wire/sse.test.ts …]
 *
 * `--names` writes what ran, one test a line, sorted: two versions of the suite can be compared.
 */

const ROOT = join(import.meta.dirname, "../..");

/** Most of a journey is waiting: more files than processors keep these busy. */
const WAITING_FILES = 2;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { "files-at-once": { type: "string" }, names: { type: "string" } },
});
const entries = entriesOf(testFiles(ROOT), positionals);
if (entries.length === 0) throw new Error(`no test file is below ${positionals.join(" or ")}`);
process.chdir(ROOT);
process.env["NODE_COMPILE_CACHE"] = warmCompileCache(ROOT);

const names = new TestNames(ROOT);
const events = run({
  files: entries.map((entry) => join(ROOT, entry)),
  concurrency: Number(values["files-at-once"] ?? availableParallelism() + WAITING_FILES),
});
events.on("test:start", (started) => names.add(started));
events.on("test:fail", ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1;
});
await pipeline(events, slowestFirst(ROOT), new spec(), process.stdout, { end: false });
if (values.names !== undefined) writeFileSync(values.names, names.text);
