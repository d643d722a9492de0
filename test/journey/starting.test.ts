import assert from "node:assert/strict";
import { LocalServer } from "../rig/local-server.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { openStores } from "../../src/redis/stores.ts";

/** An Ollama server that hangs up until it is up. */
class LateOllama {
  up = false;
  readonly server: LocalServer = new LocalServer((request, response) => {
    if (!this.up) {
      response.destroy();
      return;
    }
    const documents: Readonly<Record<string, object>> = {
      "/api/tags": { models: [{ name: "late:latest", size: 1, details: { family: "llama" } }] },
      "/api/ps": { models: [] },
      "/api/version": { version: "0.33.0" },
    };
    const document = documents[request.url ?? ""];
    response.writeHead(document === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(document ?? { error: "not found" }));
  });
}

interface Told {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string;
}

/** A gateway's answers on a model in each dialect, and on each path that names one. */
async function everywhere({ gateway }: Fleet, model: string): Promise<readonly Told[]> {
  const messages = [{ role: "user", content: "hello" }];
  const body = (more: object): RequestInit => ({ method: "POST", body: JSON.stringify({ model, ...more }) });
  const asked: readonly (readonly [path: string, init?: RequestInit])[] = [
    ["/api/chat", body({ messages })],
    ["/api/generate", body({ prompt: "hello" })],
    ["/api/embed", body({ input: "hello" })],
    ["/api/show", body({})],
    ["/v1/chat/completions", body({ messages })],
    ["/v1/responses", body({ input: "hello" })],
    ["/v1/messages", body({ messages, max_tokens: 9 })],
    [`/v1/models/${model}`],
  ];
  return Promise.all(
    asked.map(async ([path, init]) => {
      const response = await fetch(gateway.url + path, init);
      return {
        status: response.status,
        retryAfter: response.headers.get("retry-after"),
        text: await response.text(),
      };
    }),
  );
}

const NOWHERE = { posts: [], env: { SGNET_ADMIN_KEY: "root" } } as const;

journey("a model is not yet there, and not unknown, while a worker gets ready", NOWHERE, async (fleet) => {
  for (const { status } of await everywhere(fleet, "late")) assert.equal(status, 404, "no worker starts");
  const late = new LateOllama();
  await late.server.listen();
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${late.server.url}` });
    const [worker] = await openStores(fleet.probe, fleet.keys).registry.listWorkers();
    assert.equal(worker?.starting, true);
    await until("503", async () => (await everywhere(fleet, "late")).every(({ status }) => status === 503));
    const told = await everywhere(fleet, "late");
    assert.deepEqual(new Set(told.map(({ retryAfter }) => retryAfter)), new Set(["2"]));
    for (const { text } of told) assert.match(text, /not yet, a worker of the fleet is still getting ready/);
    const [chat, , , , openai, , anthropic] = told.map(({ text }) => JSON.parse(text) as { error: unknown });
    assert.equal(typeof chat?.error, "string");
    assert.match(JSON.stringify(openai), /"type":"overloaded_error"/);
    assert.match(JSON.stringify(anthropic), /"type":"error","error":\{"type":"overloaded_error"/);
    const copy = await fetch(`${fleet.gateway.url}/api/copy`, {
      method: "POST",
      headers: { authorization: "Bearer root" },
      body: '{"source":"late","destination":"x"}',
    });
    assert.equal(copy.status, 503);
    await copy.text();
    const page = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
    assert.match(page, /sgnet_requests_rejected_total\{endpoint="openai-chat",code="fleet_starting"\} \d/);

    late.up = true;
    await fleet.known("late");
    for (const { status } of await everywhere(fleet, "nope")) assert.equal(status, 404, "all are ready");
  } finally {
    await late.server.stop();
  }
});

journey(
  "a worker that never gets ready is not waited for for ever",
  { posts: [], env: { SGNET_STARTUP_MS: "2500" } },
  async (fleet) => {
    const late = new LateOllama();
    await late.server.listen();
    try {
      await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${late.server.url}` });
      const all = async (status: number): Promise<boolean> =>
        (await everywhere(fleet, "late")).every((told) => told.status === status);
      await until("404", () => all(404));
      const [worker] = await openStores(fleet.probe, fleet.keys).registry.listWorkers();
      assert.ok(worker !== undefined, "it is still there");
    } finally {
      await late.server.stop();
    }
  },
);
