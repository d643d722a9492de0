import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { effort, LIMIT_MS } from "./effort.ts";
import { oddities, OddRedis } from "./odd-redis.ts";

/** A task that Redis knows nothing of any more is found out within some looks of 8 s; a machine may be slow. */
const ANSWER_MS = 150_000;

/**
 * Seed whose lists once made a gateway read a reply without an entry as a queued task. It then received nothing any
 * more.
 */
const FOUND = 669929808;

async function ask({ gateway }: Fleet, stream: boolean): Promise<number> {
  const body = JSON.stringify({ model: "tiny", stream, messages: [{ role: "user", content: "hi" }] });
  const signal = AbortSignal.timeout(ANSWER_MS);
  const response = await fetch(`${gateway.url}/api/chat`, { method: "POST", body, signal });
  const text = await response.text();
  if (response.status !== 200) return response.status;
  const isWhole = /t0 .*t1 .*t2 .*t3 /s.test(text) && text.includes('"done":true');
  assert.ok(isWhole || text.includes('"error"'), text);
  return 200;
}

let redis: OddRedis | undefined;
const plan = {
  limitMs: 5 * LIMIT_MS,
  redis: async (dir: string): Promise<OddRedis> => {
    redis = await OddRedis.start(dir);
    return redis;
  },
};

journey(
  "replies of Redis of every wrong type: all live, and serve as soon as it is sound",
  plan,
  async (fleet, t) => {
    const odd = redis;
    assert.ok(odd);
    const programs = [fleet.gateway, fleet.post().worker];
    let longestMs = 0;
    const look = fc.asyncProperty(oddities, async (list) => {
      odd.beOdd(list);
      const askedAt = performance.now();
      await Promise.all([true, false, true, false].map((stream) => ask(fleet, stream)));
      longestMs = Math.max(longestMs, performance.now() - askedAt);
      // The remaining replies meet renewals, polls and announcements.
      await until("no oddity", () => odd.left === 0, ANSWER_MS);
      for (const program of programs) {
        assert.ok(program.alive, program.story.slice(-3000));
        assert.ok(!/uncaught|unhandled/i.test(program.story), program.story.slice(-3000));
      }
      await until("an answer", async () => (await ask(fleet, false)) === 200, ANSWER_MS);
    });
    await fc.assert(look, { ...effort(t, 1, FOUND), endOnFailure: true });
    t.diagnostic(`longest wait among odd replies ${longestMs.toFixed(0)} ms`);
  },
);
