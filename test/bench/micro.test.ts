import assert from "node:assert/strict";
import test from "node:test";
import { codecJobs } from "../../bench/micro/codecs.ts";
import { time } from "../../bench/micro/stopwatch.ts";
import { translatorJobs } from "../../bench/micro/translators.ts";

test("a time is per unit of work, and the least is no more than the median", () => {
  const begin = performance.now();
  let calls = 0;
  const run = (): number => (calls += 1);
  const timing = time({ group: "g", name: "n", units: 1000, run }, { warmMs: 5, sampleMs: 5, samples: 5 });
  const wallUs = (performance.now() - begin) * 1000;
  assert.ok(timing.min > 0 && timing.min <= timing.median);
  assert.ok(timing.min * 1000 * calls <= wallUs, "calls of so long fit into the time it took");
});

test("every job does its work: tokens are translated, not skipped", () => {
  const jobs = [...codecJobs(), ...translatorJobs()];
  assert.equal(new Set(jobs.map(({ group, name }) => `${group} ${name}`)).size, jobs.length);
  const translations = jobs.filter(({ group }) => group === "translate, per token");
  assert.equal(translations.length, 8);
  for (const { name, run } of translations) {
    assert.match(String(run()), /"done":true|\[DONE\]|response\.completed|message_stop/, name);
  }
  const relays = jobs.filter(({ group }) => group === "relay, per token");
  assert.deepEqual(
    relays.map(({ name }) => name),
    ["ollama-chat from Ollama", "openai-chat from OpenAI"],
  );
  for (const { run } of jobs) assert.notEqual(run(), undefined);
});
