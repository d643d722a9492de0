import assert from "node:assert/strict";
import { Ollama } from "ollama";
import OpenAI, { AuthenticationError } from "openai";
import { Asked, assertAnswered } from "../rig/fleet/asked.ts";
import { journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";

const CHAT = { model: MODEL, messages: [{ role: "user" as const, content: "hello" }], stream: true as const };
const COMMENT = ": keep-alive\n\n";

interface Opened {
  readonly status: number;
  readonly type: string | null;
  /** The next piece as it comes. */
  readonly next: () => Promise<string>;
  readonly leave: () => Promise<void>;
}

async function open(url: string, body: object): Promise<Opened> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  assert.ok(response.body);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    next: async () => (await reader.read()).value ?? "",
    leave: () => reader.cancel(),
  };
}

journey(
  "streams that wait are kept alive, and answered all the same",
  { env: { SGNET_HEARTBEAT_MS: "100", SGNET_NDJSON_HEARTBEAT: "1" } },
  async (fleet) => {
    const { behaviour } = fleet.post().standIn;
    behaviour.firstTokenMs = 600_000;
    const waiting = await open(`${fleet.gateway.url}/v1/chat/completions`, CHAT);
    assert.equal(waiting.status, 200);
    assert.equal(waiting.type, "text/event-stream");
    let heard = "";
    while (heard.length < 2 * COMMENT.length) {
      const piece = await waiting.next();
      assert.notEqual(piece, "", "the stream has ended");
      heard += piece;
    }
    assert.equal(heard.replaceAll(COMMENT, ""), "");
    const metrics = async (): Promise<string> => (await fetch(`${fleet.gateway.url}/metrics`)).text();
    await until("the claim", async () => (await metrics()).includes('sgnet_open_tasks{phase="running"} 1'));
    assert.ok(
      (await metrics()).includes('sgnet_open_tasks{phase="answering"} 0'),
      "a heartbeat is no answer",
    );
    const native = await open(`${fleet.gateway.url}/api/chat`, CHAT);
    const line = JSON.parse((await native.next()).split("\n")[0] ?? "") as {
      message: { content: string };
      done: boolean;
    };
    assert.deepEqual([line.message.content, line.done], ["", false]);
    await Promise.all([waiting.leave(), native.leave()]);
    const left = 'sgnet_tasks_cancelled_total{endpoint="openai-chat",phase="running"} 1';
    await until("the client's leave", async () => (await metrics()).includes(left));

    // Long enough for a heartbeat before the first token.
    behaviour.firstTokenMs = 1200;
    const asked = (["openai-chat", "ollama-chat", "ollama-generate"] as const).map((way) => {
      return new Asked(fleet.gateway, { way, stream: true, tokens: 9 });
    });
    await Promise.all(asked.map(({ done }) => done));
    for (const one of asked) assertAnswered(one);

    Object.assign(behaviour, { refuse: { status: 400, message: "no such luck" }, firstTokenMs: 0 });
    const patient = await fleet.addGateway({ SGNET_HEARTBEAT_MS: "600000" });
    await fleet.known();
    const refused = await open(`${patient.url}/v1/chat/completions`, CHAT);
    assert.equal(refused.status, 400, "without a heartbeat before it a fault has its own status");
    await refused.leave();
  },
);

journey(
  "keys open both APIs to the public client libraries",
  { env: { SGNET_API_KEY: "k1,k2" }, posts: [] },
  async (fleet) => {
    const refused = await fetch(`${fleet.gateway.url}/api/tags`);
    assert.equal(refused.status, 401);
    await refused.body?.cancel();
    assert.equal((await fetch(`${fleet.gateway.url}/readyz`)).status, 200);
    const openai = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "k2", maxRetries: 0 });
    const ollama = new Ollama({ host: fleet.gateway.url, headers: { authorization: "Bearer k1" } });
    assert.deepEqual((await openai.models.list()).data, []);
    assert.deepEqual((await ollama.list()).models, []);
    const stranger = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "hunter2", maxRetries: 0 });
    await assert.rejects(stranger.models.list().asResponse(), AuthenticationError);
    assert.ok(!fleet.gateway.story.includes("hunter2"));
    assert.ok(!fleet.gateway.story.includes("k2"));
  },
);
