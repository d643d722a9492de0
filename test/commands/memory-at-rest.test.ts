import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { RestWatch } from "../../src/commands/memory-at-rest.ts";
import type { RestLook } from "../../src/commands/memory-at-rest.ts";

const MIB = 1024 * 1024;
const quiet = (mib: number): RestLook => ({ work: 0.01, heapBytes: mib * MIB });
const working = (mib: number): RestLook => ({ work: 0.3, heapBytes: mib * MIB });

/** The number of the first of `looks` at which a collection is due, from 1; 0 for none. */
function dueAt(watch: RestWatch, looks: readonly RestLook[]): number {
  return looks.findIndex((look) => watch.isDue(look)) + 1;
}

describe("when a process gives back memory", () => {
  it("does so when it has been quiet for thirty looks, not within a pause of a load", () => {
    const pause = [working(50), ...Array<RestLook>(29).fill(quiet(50)), working(50)];
    assert.equal(dueAt(new RestWatch(), [...pause, ...pause]), 0);
    assert.equal(dueAt(new RestWatch(), [...pause, ...Array<RestLook>(32).fill(quiet(50))]), 61);
  });

  it("does so again only for what has come since, and after another rest", () => {
    const watch = new RestWatch();
    assert.equal(dueAt(watch, Array<RestLook>(40).fill(quiet(50))), 30);
    watch.collected(20 * MIB);
    assert.equal(dueAt(watch, Array<RestLook>(200).fill(quiet(31))), 0);
    assert.equal(dueAt(watch, [quiet(33)]), 1);
    watch.collected(20 * MIB);
    assert.equal(dueAt(watch, Array<RestLook>(200).fill(quiet(90))), 30);
  });
});

const SOURCE = new URL("../../src/commands/memory-at-rest.ts", import.meta.url).href;

/** A minute's worth. */
const MOST_TOLD = 1200;

/** Leaves 60 MB of garbage in its heap, which nothing but a collection removes, and tells the heap's size until killed. */
const SCRIPT = `
import { getHeapStatistics } from "node:v8";
import { giveBackAtRest } from "${SOURCE}";
const tell = () => console.log(Math.round(getHeapStatistics().total_physical_size / 1e6));
let garbage = Array.from({ length: 1_000_000 }, (_, at) => ({ at, next: [at] }));
tell();
garbage = undefined;
giveBackAtRest({ lookMs: 20 });

setInterval(tell, 50);
`;

it("a process that was started lean gives back what its heap no longer needs", async () => {
  const args = ["--expose-gc", "--input-type=module", "-e", SCRIPT];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let full = 0;
  let least = Infinity;
  let told = 0;
  for await (const text of child.stdout.setEncoding("utf8")) {
    for (const line of String(text).split("\n").filter(Boolean)) {
      if (full === 0) full = Number(line);
      least = Math.min(least, Number(line));
      told += 1;
    }
    if (least < full - 50 || told > MOST_TOLD) break;
  }
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  assert.ok(least < full - 50, `${full} MB, at the least ${least}`);
});
