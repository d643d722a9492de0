import assert from "node:assert/strict";
import { Asked, assertAnswered } from "../rig/fleet/asked.ts";
import { journey, MODEL } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";

/** Where to ask, with the error type of a busy server that clients act on; Ollama's have none. */
const PATHS: readonly (readonly [path: string, type: string | undefined])[] = [
  ["/api/chat", undefined],
  ["/v1/chat/completions", "overloaded_error"],
  ["/v1/messages", "overloaded_error"],
];

async function ask(gateway: Program, path: string, content = "hello"): Promise<Response> {
  const body = { model: MODEL, max_tokens: 4, stream: false, messages: [{ role: "user", content }] };
  return fetch(gateway.url + path, { method: "POST", body: JSON.stringify(body) });
}

/** All dialects say that the gateway is busy, and for how long. */
async function refusesAll(gateway: Program, content?: string): Promise<void> {
  for (const [path, type] of PATHS) {
    const response = await ask(gateway, path, content);
    assert.equal(response.status, 503, path);
    assert.match(response.headers.get("retry-after") ?? "", /^[1-9]\d*$/, path);
    const { error } = (await response.json()) as { error: string | { type: string } };
    assert.equal(typeof error === "string" ? undefined : error.type, type, path);
  }
}

journey(
  "open requests of a gateway are bounded, and there is room when one has ended",
  { env: { SGNET_MAX_OPEN: "2" } },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.tokenMs = 20;
    const running = [1, 2].map(
      () => new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 2000 }),
    );
    await standIn.waitFor("request", 2);
    await refusesAll(fleet.gateway);
    assert.equal((await fetch(`${fleet.gateway.url}/api/tags`)).status, 200);
    running[0]?.leave();
    await standIn.waitFor("aborted");
    standIn.behaviour.tokenMs = 0;
    const next = new Asked(fleet.gateway, { way: "openai-chat", stream: false, tokens: 5 });
    await next.done;
    assertAnswered(next);
    running[1]?.leave();
    await Promise.all(running.map(({ done }) => done));
  },
);

journey(
  "the bytes that wait for one model are bounded",
  { env: { SGNET_MAX_QUEUE_BYTES: "100000" } },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.tokenMs = 20;
    const prompt = "x".repeat(60_000);
    const running = new Asked(fleet.gateway, { way: "ollama-chat", stream: true, tokens: 2000, prompt });
    await standIn.waitFor("request");
    await refusesAll(fleet.gateway, prompt);
    assert.equal((await ask(fleet.gateway, "/api/chat")).status, 200);
    running.leave();
    await running.done;
    await standIn.waitFor("aborted");
    assert.equal((await ask(fleet.gateway, "/api/chat", prompt)).status, 200);
  },
);

journey("a head is taken up to its limit", { env: { SGNET_MAX_HEAD_BYTES: "8000" } }, async (fleet) => {
  const look = async (bytes: number): Promise<number> => {
    const response = await fetch(`${fleet.gateway.url}/healthz`, { headers: { x: "x".repeat(bytes) } });
    return response.status;
  };
  assert.equal(await look(7000), 200);
  assert.equal(await look(9000), 431);
});
