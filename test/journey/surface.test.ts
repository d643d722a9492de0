import assert from "node:assert/strict";
import { SurfaceServer, sendBytes, sendJson } from "../surface-server.ts";
import type { SurfaceServerOptions } from "../surface-server.ts";
import { type Fleet, journey } from "./fleet.ts";

/** The rest of OpenAI's surface, relayed through gateway, Redis and worker. */

const RANKED = {
  id: "rerank-1",
  model: "BAAI/bge",
  usage: { total_tokens: 11 },
  results: [{ index: 1, document: { text: "b" }, relevance_score: 0.9 }],
};

async function withServer(
  fleet: Fleet,
  options: SurfaceServerOptions,
  run: (server: SurfaceServer) => Promise<void>,
): Promise<void> {
  const server = await SurfaceServer.start(options);
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}`, SGNET_SLOTS: "4" });
    await fleet.known((options.models ?? ["bge"])[0]);
    await run(server);
  } finally {
    await server.stop();
  }
}

function post(fleet: Fleet, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(fleet.gateway.url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

journey(
  "rerank: the body goes through byte for byte but for the model, which is echoed",
  { posts: [] },
  async (fleet) => {
    await withServer(
      fleet,
      { models: ["BAAI/bge"], paths: { "/v1/rerank": sendJson(200, RANKED) } },
      async (server) => {
        const body =
          ' {"query" : "a", "documents":["model", {"text":"x","model":"y"}],\n"model":"baai/BGE", "top_n":1e0}';
        const reply = await post(fleet, "/rerank", body);
        assert.equal(reply.status, 200, await reply.clone().text());
        assert.deepEqual(await reply.json(), { ...RANKED, model: "baai/BGE" });
        const { path, body: sent } = await server.request();
        assert.equal(path, "/v1/rerank");
        assert.equal(sent.toString(), body.replace("baai/BGE", "BAAI/bge"));
      },
    );
  },
);

journey("speech: audio bytes come as they are", { posts: [] }, async (fleet) => {
  const audio = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 256));
  await withServer(
    fleet,
    { models: ["kokoro"], paths: { "/v1/audio/speech": sendBytes(200, "audio/mpeg", audio) } },
    async () => {
      const reply = await post(fleet, "/v1/audio/speech", { model: "kokoro", input: "Hi", voice: "alloy" });
      assert.equal(reply.status, 200);
      assert.equal(reply.headers.get("content-type"), "audio/mpeg");
      assert.deepEqual(Buffer.from(await reply.arrayBuffer()), audio);
    },
  );
});

journey(
  "a model whose backend has none of it: 501 at once; an unknown one: 404",
  { posts: [{ speaks: "openai" }] },
  async (fleet) => {
    const lacking = await post(fleet, "/v1/rerank", { model: "tiny", query: "a", documents: ["b"] });
    assert.equal(lacking.status, 501);
    const { error } = (await lacking.json()) as { error: { code: string; message: string } };
    assert.equal(error.code, "not_implemented");
    assert.match(error.message, /tiny.*rerank/);
    const unknown = await post(fleet, "/v1/rerank", { model: "none", query: "a", documents: ["b"] });
    assert.equal(unknown.status, 404);
  },
);
