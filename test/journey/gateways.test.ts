import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get, type IncomingMessage, request as ask } from "node:http";
import { text } from "node:stream/consumers";
import { LocalServer } from "../rig/local-server.ts";
import { allDone, askAll, Asked, assertAnswered, WAYS } from "../rig/fleet/asked.ts";
import { journey } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

const LONG = 2000;

journey(
  "the tasks of a killed gateway are dropped; another one serves on",
  { gateways: 2 },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.tokenMs = 20;
    const [doomed, other] = fleet.gateways;
    assert.ok(doomed !== undefined && other !== undefined);
    const lost = [
      ...askAll(doomed, WAYS, { stream: true, tokens: LONG }),
      ...askAll(doomed, WAYS, { stream: false, tokens: LONG }),
    ];
    await standIn.waitFor("request", lost.length);
    const kept = askAll(other, ["ollama-chat", "openai-chat"], { stream: true, tokens: 100 });
    await standIn.waitFor("request", lost.length + kept.length);
    const queued = askAll(other, WAYS, { stream: true, tokens: 9 });
    await doomed.kill();
    await allDone(lost);
    assert.ok(lost.every((one) => one.error instanceof Error));
    // Its announcement is valid for 15 s: the test does not wait for that.
    await fleet.probe.command("PEXPIRE", fleet.keys.gateway(tagOf(doomed)), "1");
    await standIn.waitFor("aborted", lost.length);
    await allDone([...kept, ...queued]);
    for (const one of [...kept, ...queued]) assertAnswered(one);
  },
);

function tagOf(gateway: Program): string {
  const tag = /"gateway is ready".*"tag":"(\w+)"/.exec(gateway.story)?.[1];
  assert.ok(tag !== undefined);
  return tag;
}

/** A probe that keeps its connection, as load balancers do. */
class Prober {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;

  constructor(gateway: Program) {
    this.#url = `${gateway.url}/readyz`;
  }

  /** The status, or "refused" when nothing listens. */
  async look(): Promise<number | "refused"> {
    return new Promise((resolve) => {
      const asked = get(this.#url, { agent: this.#agent }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      });
      asked.once("error", () => resolve("refused"));
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

journey("a gateway that is told to stop finishes its requests and takes no more", {}, async (fleet) => {
  const { standIn } = fleet.post();
  standIn.behaviour.tokenMs = 20;
  const running = [
    ...askAll(fleet.gateway, WAYS, { stream: true, tokens: LONG }),
    ...askAll(fleet.gateway, WAYS, { stream: false, tokens: LONG }),
  ];
  await standIn.waitFor("request", running.length);
  const prober = new Prober(fleet.gateway);
  assert.equal(await prober.look(), 200);
  fleet.gateway.signal("SIGTERM");
  await until("the last words of the log", () => fleet.gateway.story.includes('"stopping"'));
  assert.equal(await prober.look(), 503);
  assert.equal(await prober.look(), "refused");
  prober.close();
  const late = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 5 });
  await late.done;
  assert.ok(late.error instanceof Error);
  assert.ok(running.every((one) => !one.over));
  standIn.behaviour.tokenMs = 0;
  await allDone(running);
  for (const one of running) assertAnswered(one);
  assert.equal(await fleet.gateway.exited, 0);
  assert.equal(standIn.requests.length, running.length);
  assert.deepEqual(await fleet.probe.command("KEYS", "sgnet:r:*"), [], "nothing is left of the last ones");
});

/** More than the buffers of two sockets hold. */
const LARGE = JSON.stringify({ model: "large", message: { content: "x".repeat(12_000_000) }, done: true });

/** An Ollama server with one model, whose answers are {@link LARGE}. */
function talker(): LocalServer {
  return new LocalServer((request, response) => {
    const { url = "" } = request;
    if (url === "/") response.end("Ollama is running");
    else if (url === "/api/version") response.end('{"version":"0.33.0"}');
    else if (url === "/api/chat") response.end(LARGE);
    else response.end(`{"models":${url === "/api/tags" ? '[{"name":"large"}]' : "[]"}}`);
  });
}

journey("a gateway that is told to stop waits for who reads a large answer", { posts: [] }, async (fleet) => {
  const server = talker();
  await server.listen();
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}` });
    await fleet.known("large");
    const body = '{"model":"large","stream":false,"messages":[{"role":"user","content":"x"}]}';
    const asked = ask(`${fleet.gateway.url}/api/chat`, { method: "POST" }).end(body);
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    fleet.gateway.signal("SIGTERM");
    await until("the last words of the log", () => fleet.gateway.story.includes('"stopping"'));
    assert.equal(await text(response), LARGE);
    assert.equal(await fleet.gateway.exited, 0);
  } finally {
    await server.stop();
  }
});

journey("who asks just when a gateway has lost its Redis for a moment is answered", {}, async (fleet) => {
  // Still, so that what came meanwhile meets a gateway whose connections have broken and are not made again.
  fleet.gateway.signal("SIGSTOP");
  const asked = [
    ...askAll(fleet.gateway, WAYS, { stream: true, tokens: 5 }),
    ...askAll(fleet.gateway, WAYS, { stream: false, tokens: 5 }),
  ];
  await fleet.probe.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  await fleet.probe.command("CLIENT", "KILL", "TYPE", "pubsub");
  fleet.gateway.signal("SIGCONT");
  await allDone(asked);
  for (const one of asked) assertAnswered(one);
});
