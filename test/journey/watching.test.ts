import assert from "node:assert/strict";
import { LogReader, SummaryLog } from "../../src/redis/inspect/summary-log.ts";
import { openStores } from "../../src/redis/stores.ts";
import { runCommand } from "../rig/command.ts";
import { Asked, assertAnswered } from "../rig/fleet/asked.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { NO_TERMINAL, watchCommand, withoutSequences } from "../ui/terminal.ts";

/** The views of a fleet at the command line: `sgnet trace` and `sgnet top`. */

const ASIDE = { cwd: import.meta.dirname };

async function sgnet(fleet: Fleet, ...args: string[]): ReturnType<typeof runCommand> {
  return runCommand(args, { ...ASIDE, env: { REDIS_URL: fleet.redisUrl } });
}

async function ask(fleet: Fleet, requestId: string, body: object): Promise<Response> {
  return fetch(`${fleet.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-request-id": requestId },
    body: JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "a secret" }], ...body }),
  });
}

journey("the story of a request is told, open and ended", {}, async (fleet) => {
  const { standIn } = fleet.post();
  standIn.behaviour.hangAfter = 3;
  const hanging = ask(fleet, "open-one", { stream: true });
  await standIn.waitFor("token", 3);
  const running = await until("its frames", async () => {
    const { stdout } = await sgnet(fleet, "trace", "open-one");
    return /running: \d+ frames/.test(stdout) ? stdout : undefined;
  });
  assert.match(
    running,
    /^Request open-one\n {2}task +g[0-9a-f]{12}\.\w+\n {2}endpoint +openai-chat, as a stream\n/,
  );
  assert.match(
    running,
    /now: claimed by w[0-9a-f]{12}, last heard of .* ago; running: .* from w[0-9a-f]{12}\n$/,
  );
  await (await hanging).body?.cancel();
  await standIn.waitFor("aborted");
  standIn.behaviour.hangAfter = undefined;

  standIn.behaviour.tokenMs = 2;
  await (await ask(fleet, "whole-story", { stream: true, max_tokens: 12 })).text();
  assert.equal((await ask(fleet, "refused-one", { model: "no-such-model" })).status, 404);
  const told = await until("the log", async () => {
    const { stdout, code } = await sgnet(fleet, "trace", "whole-story");
    return code === 0 ? stdout : undefined;
  });
  const steps = [
    /accepted by the gateway/,
    /\+[\d.]+ ms +(?:queued: Redis has it|claimed by the worker)/,
    /first byte from the backend/,
    /first byte to the client/,
    /answered: \d+ tokens in, 12 out, \d+ bytes, [\d.]+ tokens\/s\n$/,
  ];
  for (const step of steps) assert.match(told, step);
  assert.doesNotMatch(told, /secret/);
  const task = /task +(\S+)/.exec(told)?.[1] ?? "";
  assert.equal((await sgnet(fleet, "trace", task)).stdout, told, "found by its task's id too");
  assert.match(
    (await sgnet(fleet, "trace", "open-one")).stdout,
    /cancelled, status 200\n[^]*the client left \(answering\)\n$/,
  );
  assert.match(
    (await sgnet(fleet, "trace", "refused-one")).stdout,
    /model +no-such-model\n[^]*model_not_found, status 404/,
  );
  const nobody = await sgnet(fleet, "trace", "nobody");
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /^Nothing is known of nobody/);
});

journey("what ran on a second worker is in its story", { posts: [] }, async (fleet) => {
  const first = await fleet.addPost({ firstTokenMs: 600_000 });
  await fleet.known();
  const asked = new Asked(fleet.gateway, { way: "openai-chat", stream: true, tokens: 5 });
  await first.standIn.waitFor("request");
  await fleet.addPost();
  await first.worker.kill();
  await asked.done;
  assertAnswered(asked);
  const log = new LogReader(new SummaryLog(fleet.probe, fleet.keys));
  const [summary] = await until("the log", async () => {
    const news = await log.read();
    return news.length > 0 ? news : undefined;
  });
  assert.equal(summary?.code, "ok");
  assert.equal(summary?.completionTokens, 5);
  const [second] = (await openStores(fleet.probe, fleet.keys).registry.listWorkers()).toSorted(
    (a, b) => b.startedAt - a.startedAt,
  );
  assert.equal(summary?.worker, second?.id);
  assert.ok((summary?.claimedMs ?? 0) > 500, "the wait for the lease is in it");
});

journey("sgnet top is one plain picture where there is no terminal", {}, async (fleet) => {
  const { standIn } = fleet.post();
  standIn.behaviour.hangAfter = 0;
  const asked = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 5 });
  await standIn.waitFor("request");
  const { stdout, code } = await sgnet(fleet, "top");
  assert.equal(code, 0);
  assert.match(stdout, /^Stargazer\nAll is well\n1 gateway, 1 node, /);
  assert.match(stdout, /\nModels\n.*\n {2}tiny +0 +- +1 +8 /);
  assert.match(stdout, /\nRunning requests, of all gateways\n.*\n {2}tiny +w[0-9a-f]{12} +\S+ m?s +1\n/);
  assert.equal(stdout.includes("\u001B"), false);
  asked.leave();
  await asked.done;
});

for (const colours of [true, false]) {
  journey(`sgnet top draws ${colours ? "in colours" : "without colours"} until q`, {}, async (fleet, t) => {
    if (NO_TERMINAL !== false) {
      t.skip(NO_TERMINAL);
      return;
    }
    const drawn = await watchCommand("top", {
      columns: 60,
      rows: 9,
      isEnough: (text) => text.includes("tiny"),
      env: { ...(colours ? {} : { NO_COLOR: "1" }), REDIS_URL: fleet.redisUrl },
    });
    assert.equal(drawn.includes("\u001B[32mAll is well\u001B[0m"), colours);
    const lines = withoutSequences(drawn).trimEnd().split("\r\n");
    assert.equal(lines[1], "All is well");
    assert.ok(lines.length <= 9 && lines.every((line) => line.length <= 60), drawn);
  });
}
