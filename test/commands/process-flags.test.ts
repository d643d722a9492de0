import assert from "node:assert/strict";
import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import { processEnvironment } from "../../src/config/environment.ts";
import { newFolder } from "../rig/command.ts";

const SOURCE = new URL("../../src/commands/process-flags.ts", import.meta.url).href;

/** Prints how it was started in the end; as an argument, so that a start lost in it shows. */
const SCRIPT = `
import { startWithFlags } from "${SOURCE}";
startWithFlags({ cacheDir: process.env["CACHE"] ?? "" });
const { MALLOC_MMAP_THRESHOLD_: threshold, MALLOC_ARENA_MAX: arenas, NODE_COMPILE_CACHE: cache } = process.env;
const flags = process.execArgv.filter((argument) => argument.startsWith("--max"));
const collects = typeof gc === "function";
console.log(JSON.stringify({ pid: process.pid, flags, threshold, arenas, collects, cache, last: process.argv.at(-1) }));
`;

interface Start {
  readonly pid: number;
  readonly flags: readonly string[];
  readonly threshold?: string;
  readonly arenas?: string;
  readonly collects: boolean;
  readonly cache?: string;
  readonly last: string;
}

async function start(env: Readonly<Record<string, string>>, flags: readonly string[] = []): Promise<Start> {
  const args = [...flags, "--input-type=module", "-e", SCRIPT, "last word"];
  const running = promisify(execFile)(process.execPath, args, {
    env: { PATH: processEnvironment()["PATH"], ...env },
  });
  const { stdout } = await running;
  const told = JSON.parse(stdout) as Start;
  assert.equal(told.pid, running.child.pid);
  assert.equal(told.last, "last word");
  return told;
}

const LEAN = "--max-semi-space-size=16";

describe("a start with process flags", () => {
  const folder = newFolder();
  after(() => folder.remove());

  it("is the same process, with the same arguments, whose allocator gives back what it frees", async () => {
    const { flags, threshold, arenas, collects, cache } = await start({ CACHE: folder.path });
    assert.deepEqual({ flags, threshold, arenas }, { flags: [LEAN], threshold: "65536", arenas: "1" });
    assert.deepEqual({ collects, cache }, { collects: true, cache: join(folder.path, "compile") });
  });

  const chosen: readonly {
    name: string;
    env: Readonly<Record<string, string>>;
    flags?: string[];
    told: object;
  }[] = [
    {
      name: "a young generation of the command line",
      env: {},
      flags: ["--max_semi_space_size=40"],
      told: { flags: ["--max_semi_space_size=40"], threshold: "65536", arenas: "1" },
    },
    {
      name: "a young generation of NODE_OPTIONS",
      env: { NODE_OPTIONS: "--max-semi-space-size=40" },
      told: { flags: [], threshold: "65536", arenas: "1" },
    },
    {
      name: "the settings of the allocator",
      env: { MALLOC_MMAP_THRESHOLD_: "1000000", MALLOC_ARENA_MAX: "4" },
      told: { flags: [LEAN], threshold: "1000000", arenas: "4" },
    },
  ];
  for (const { name, env, flags, told } of chosen) {
    it(`keeps what the user chose: ${name}`, async () => {
      const its = await start({ CACHE: folder.path, ...env }, flags);
      const { threshold, arenas } = its;
      assert.deepEqual({ flags: its.flags, threshold, arenas }, told);
    });
  }

  it("leaves a process with a channel as it is: its parent would lose it", async () => {
    const child = fork("data:", [], {
      execArgv: ["--input-type=module", "-e", `${SCRIPT} process.send(process.execArgv.length);`],
      stdio: "pipe",
    });
    const [sent] = (await once(child, "message")) as [number];
    assert.equal(sent, 3);
    await once(child, "exit");
  });
});
