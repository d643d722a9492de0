import assert from "node:assert/strict";
import { allDone, askAll, Asked, assertAnswered, WAYS } from "../rig/fleet/asked.ts";
import { journey } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

/** Stops a process for so long, ms. */
async function freeze(program: Program, ms: number): Promise<void> {
  program.signal("SIGSTOP");
  const from = performance.now();
  await until("the end of the freeze", () => performance.now() - from > ms);
  program.signal("SIGCONT");
}

journey(
  "a gateway that stood still says so, blames no Redis, and its answers go on",
  { posts: [{ slots: 16 }] },
  async (fleet) => {
    fleet.post().standIn.behaviour.tokenMs = 20;
    const asked = [
      ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 300 }),
      ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 300 }),
    ];
    await until("the first tokens", () => asked.slice(0, WAYS.length).every(({ tokens }) => tokens > 3));
    await freeze(fleet.gateway, 7000);
    asked.push(...askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 }));
    await allDone(asked);
    for (const one of asked) assertAnswered(one);
    assert.match(
      fleet.gateway.story,
      /this process stood still for 6\.\d s|this process stood still for 7\.\d s/,
    );
    assert.doesNotMatch(fleet.gateway.story, /Redis is away|worker_lost|redis_down/);
    const page = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
    assert.match(page, /^sgnet_event_loop_stalls_total [1-9]/m);
  },
);

journey(
  "a worker that stood still blames no backend for the time it did not see",
  { posts: [{ slots: 16 }], env: { SGNET_FIRST_TOKEN_TIMEOUT_MS: "3000", SGNET_CIRCUIT_FAILURES: "1" } },
  async (fleet) => {
    const { worker, standIn } = fleet.post();
    standIn.behaviour.firstTokenMs = 2500;
    const asked = new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: 5 });
    await standIn.waitFor("request", 1);
    await freeze(worker, 4000);
    await allDone([asked]);
    assertAnswered(asked);
    assert.equal(standIn.requests.length, 1);
    assert.match(worker.story, /this process stood still for/);
    assert.doesNotMatch(worker.story, /backend fails again|backend is not available/);
  },
);
