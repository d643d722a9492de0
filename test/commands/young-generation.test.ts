import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";

const FOLDER = new URL("../../src/", import.meta.url);

/**
 * Runs in a process of its own, as the setting concerns the whole process. Prints MB of its young generation, held and
 * freed.
 */
const SCRIPT = `
import { getHeapSpaceStatistics } from "node:v8";
import { setImmediate } from "node:timers/promises";
import { runService } from "${new URL("commands/service.ts", FOLDER).href}";
import { limitYoungGeneration } from "${new URL("commands/young-generation.ts", FOLDER).href}";
import { openLog } from "${new URL("telemetry/log.ts", FOLDER).href}";

const ROUNDS = 5;

/** MB of the young generation after \`rounds\` in each of which much is made that stays. */
function loadedMb(rounds) {
  for (let round = 0; round < rounds; round += 1) {
    const kept = [];
    while (kept.length < 400_000) kept.push({ at: kept.length });
  }
  const space = getHeapSpaceStatistics().find((its) => its.space_name === "new_space");
  return space.space_size / 1e6;
}
limitYoungGeneration();
const held = loadedMb(ROUNDS);
const log = openLog({ level: "error", format: "json" });
void runService({ log, start: async () => ({ stop: async () => {} }) });
await setImmediate();
console.log(JSON.stringify({ held, freed: loadedMb(ROUNDS) }));
`;

describe("the young generation of a service", () => {
  it("stays small while the service starts, and grows afterwards", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", SCRIPT]);
    const { held, freed } = JSON.parse(stdout) as { held: number; freed: number };
    assert.ok(held < 16, `held: ${held} MB`);
    assert.ok(freed > 20, `freed: ${freed} MB`);
  });
});
