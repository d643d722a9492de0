import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { IdleDetector } from "../../src/commands/idle-memory.ts";
import type { IdleSample } from "../../src/commands/idle-memory.ts";

const MIB = 1024 * 1024;
const quiet = (mib: number): IdleSample => ({ work: 0.01, heapBytes: mib * MIB });
const working = (mib: number): IdleSample => ({ work: 0.2, heapBytes: mib * MIB });
const LOADED: IdleSample = { work: 0.6, heapBytes: 50 * MIB };

/** The number of the first of `looks` at which a collection is due, from 1; 0 for none. */
function dueAt(watch: IdleDetector, looks: readonly IdleSample[]): number {
  return looks.findIndex((look) => watch.isCollectionDue(look)) + 1;
}

describe("when a process gives back memory", () => {
  it("does so when it has been quiet for thirty looks, not within a pause of a load", () => {
    const pause = [working(50), ...Array<IdleSample>(29).fill(quiet(50)), working(50)];
    assert.equal(dueAt(new IdleDetector(), [...pause, ...pause]), 0);
    assert.equal(dueAt(new IdleDetector(), [...pause, ...Array<IdleSample>(32).fill(quiet(50))]), 61);
  });

  it("waits longer after a load, which may come again", () => {
    const watch = new IdleDetector();
    assert.equal(dueAt(watch, [LOADED, ...Array<IdleSample>(400).fill(quiet(50))]), 301);
    watch.collected(20 * MIB);
    assert.equal(dueAt(watch, Array<IdleSample>(40).fill(quiet(50))), 30);
  });

  it("does so again only for what has come since, and after another rest", () => {
    const watch = new IdleDetector();
    assert.equal(dueAt(watch, Array<IdleSample>(40).fill(quiet(50))), 30);
    watch.collected(20 * MIB);
    assert.equal(dueAt(watch, Array<IdleSample>(200).fill(quiet(31))), 0);
    assert.equal(dueAt(watch, [quiet(33)]), 1);
    watch.collected(20 * MIB);
    assert.equal(dueAt(watch, Array<IdleSample>(200).fill(quiet(90))), 30);
  });
});

const SOURCE = new URL("../../src/commands/idle-memory.ts", import.meta.url).href;
const YOUNG = new URL("../../src/commands/young-generation.ts", import.meta.url).href;

/** Runs a script that prints numbers until one is `wanted`, or there are `most`; all that it printed. */
async function numbersOf(
  script: string,
  most: number,
  wanted: (number: number, first: number) => boolean,
): Promise<number[]> {
  const args = ["--expose-gc", "--max-semi-space-size=16", "--input-type=module", "-e", script];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const numbers: number[] = [];
  for await (const text of child.stdout.setEncoding("utf8")) {
    numbers.push(...String(text).split("\n").filter(Boolean).map(Number));
    const [first = 0] = numbers;
    if (numbers.some((number) => wanted(number, first)) || numbers.length >= most) break;
  }
  child.kill("SIGKILL");
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return numbers;
}

/** Leaves 60 MB of garbage in its heap, which nothing but a collection removes, and tells the heap's size. */
const GARBAGE = `
import { getHeapStatistics } from "node:v8";
import { freeMemoryWhenIdle } from "${SOURCE}";
const tell = () => console.log(Math.round(getHeapStatistics().total_physical_size / 1e6));
let garbage = Array.from({ length: 1_000_000 }, (_, at) => ({ at, next: [at] }));
tell();
garbage = undefined;
freeMemoryWhenIdle({ sampleMs: 20 });
setInterval(tell, 50);
`;

/** Allocates without a pause and keeps objects for a while. Prints the size of its young generation now and then. */
const WORK = `
import { getHeapSpaceStatistics } from "node:v8";
import { freeMemoryWhenIdle } from "${SOURCE}";
import { limitYoungGeneration } from "${YOUNG}";
const tell = () => {
  const { space_size } = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
  console.log(Math.round(space_size / 1e6));
};
limitYoungGeneration();
tell();
freeMemoryWhenIdle({ sampleMs: 20 });
const kept = Array.from({ length: 50_000 });
let at = 0;
const work = () => {
  for (let i = 0; i < 10_000; i += 1) kept[(at += 1) % kept.length] = { at, next: [at] };
  if (at % 500_000 === 0) tell();
  setImmediate(work);
};
work();
`;

describe("a process that was started lean", () => {
  it("gives back what its heap no longer needs", async () => {
    const sizes = await numbersOf(GARBAGE, 1200, (mb, first) => mb < first - 50);
    const [first = 0] = sizes;
    assert.ok(Math.min(...sizes) < first - 50, `${first} MB, at the least ${Math.min(...sizes)}`);
  });

  it("lets its young generation grow under load", async () => {
    const sizes = await numbersOf(WORK, 40, (mb) => mb >= 24);
    assert.ok(Math.max(...sizes) >= 24, `at most ${Math.max(...sizes)} MB`);
  });
});
