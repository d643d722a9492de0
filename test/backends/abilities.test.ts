import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { Abilities } from "../../src/backends/abilities.ts";
import type { SurfaceCheck } from "../../src/backends/abilities.ts";
import { parseBackends } from "../../src/backends/address.ts";
import { HttpBackend } from "../../src/backends/http-backend.ts";
import { HttpOrigin } from "../../src/backends/http.ts";
import { modelCard } from "../../src/backends/model-card.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { sendJson, SurfaceServer } from "../rig/backends/surface-server.ts";
import type { SurfaceServerOptions } from "../rig/backends/surface-server.ts";
import { aTask } from "../rig/task.ts";

const STAYS = new AbortController().signal;
const noted = sendJson(200, {});
const UNSUPPORTED = sendJson(501, {
  error: { code: 501, message: "This server does not support reranking" },
});

interface Scene {
  readonly server: SurfaceServer;
  readonly clock: { now: number };
  /** The endpoints of each model after a look. */
  readonly look: (cards?: readonly ModelCard[]) => Promise<readonly (readonly string[])[]>;
  abilities: Abilities;
}

function cardOf(name: string, resident = true): ModelCard {
  const card = modelCard(name, { resident });
  assert.ok(card !== undefined);
  return card;
}

async function scene(
  t: TestContext,
  surface: SurfaceCheck,
  options: SurfaceServerOptions & { readonly declared?: readonly string[] },
): Promise<Scene> {
  const server = await SurfaceServer.start(options);
  const http = new HttpOrigin({ origin: server.url, prefix: "", authorization: undefined });
  t.after(async () => {
    await http.close();
    await server.stop();
  });
  const clock = { now: 0 };
  const abilities = new Abilities({ surface, declared: options.declared, mono: () => clock.now });
  return {
    server,
    clock,
    abilities,
    look: async (models = [cardOf("bge")]) => {
      const state = await abilities.withAbilities(http, async () => ({ models, slots: undefined }), STAYS);
      return state.models.map(({ endpoints = [] }) => endpoints);
    },
  };
}

describe("the endpoints of a backend", () => {
  it("are those that its own description lists, which costs one GET", async (t) => {
    const paths = { "/v1/rerank": {}, "/tokenize": {}, "/v1/chat/completions": {}, "/v1/systemone": {} };
    const { server, look } = await scene(t, "document", {
      paths: {},
      documents: { "/openapi.json": { paths } },
    });
    assert.deepEqual(await look(), [["rerank", "tokenize"]]);
    assert.deepEqual([server.probed.length, server.seen.length], [0, 0]);
  });

  it("are those whose paths refuse an empty request, where there is no description", async (t) => {
    const { server, look } = await scene(t, "document", {
      paths: { "/rerank": noted, "/v1/audio/speech": noted },
      documents: { "/openapi.json": { paths: "none" } },
    });
    assert.deepEqual(await look(), [["rerank", "speech"]]);
    assert.equal(server.seen.length, 0, "nothing was asked of a model");
  });

  it("are none where every path is answered alike, or none is", async (t) => {
    for (const status of [200, 400, 401, 404, 405, 422, 501]) {
      const { look } = await scene(t, "probe", { paths: {}, other: sendJson(status, {}) });
      assert.deepEqual(await look(), [[]], String(status));
    }
  });

  it("are none of a kind that is known to have none, without a look", async (t) => {
    const { server, look } = await scene(t, "none", { paths: { "/rerank": noted } });
    assert.deepEqual(await look(), [[]]);
    assert.equal(server.probed.length, 0);
  });

  it("are declared where somebody says so: with the paths that show, else with all", async (t) => {
    const { look, abilities } = await scene(t, "probe", {
      paths: { "/reranking": noted, "/tokenize": noted },
      declared: ["rerank", "speech"],
    });
    assert.deepEqual(await look(), [["rerank", "speech"]]);
    const body = Buffer.from("{}");
    const options = { body, stream: false, asked: "bge", model: "bge" };
    assert.equal(abilities.passthroughOf({ endpoint: "openai-rerank" })?.request(options).path, "/reranking");
    assert.equal(
      abilities.passthroughOf({ endpoint: "openai-speech" })?.request(options).path,
      "/v1/audio/speech",
    );
    assert.equal(abilities.passthroughOf({ endpoint: "openai-chat" }), undefined);
    const nothing = await scene(t, "probe", { paths: { "/rerank": noted }, declared: [] });
    assert.deepEqual(await nothing.look(), [[]]);
    const known = await scene(t, "none", { paths: {}, declared: ["images"] });
    assert.deepEqual(await known.look(), [["images"]]);
  });

  it("are looked for again after a minute, with other models, and when there is reason to doubt them", async (t) => {
    const { server, clock, look, abilities } = await scene(t, "probe", { paths: { "/rerank": noted } });
    assert.deepEqual(await look(), [["rerank"]]);
    server.paths = {};
    clock.now = 59_999;
    assert.deepEqual(await look(), [["rerank"]]);
    clock.now = 600_000;
    assert.deepEqual(await look(), [[]]);
    server.paths = { "/v1/score": noted };
    assert.deepEqual(await look([cardOf("bge"), cardOf("b")]), [["score"], ["score"]]);
    server.paths = {};
    abilities.invalidate();
    assert.deepEqual(await look([cardOf("bge"), cardOf("b")]), [[], []]);
  });

  it("are transcriptions for the models of an Ollama that hear, where it is new enough", async (t) => {
    // As Ollama answers a POST without a form.
    const message = "failed to parse multipart form: request Content-Type isn't multipart/form-data";
    const other = sendJson(400, {
      error: { message, type: "invalid_request_error", param: null, code: null },
    });
    const hears = { ...cardOf("gemma4"), capabilities: ["completion", "audio"] };
    const { server, look } = await scene(t, "audio", { paths: {}, other });
    assert.deepEqual(await look([cardOf("tiny")]), [[]]);
    assert.deepEqual(server.probed, [], "no model hears");
    assert.deepEqual(await look([cardOf("tiny"), hears]), [[], ["transcriptions"]]);
    assert.deepEqual(server.probed, ["/v1/audio/transcriptions"]);
    const old = await scene(t, "audio", { paths: {} });
    assert.deepEqual(await old.look([hears]), [[]]);
    const declared = await scene(t, "audio", { paths: {}, declared: ["speech"] });
    assert.deepEqual(await declared.look([cardOf("tiny")]), [["speech"]]);
  });

  it("take no more than a status: an answer without an end is hung up on", async (t) => {
    const left: Promise<void>[] = [];
    const { look } = await scene(t, "probe", {
      paths: {},
      other: ({ path, response, left: gone }) => {
        left.push(gone);
        response.writeHead(path === "/rerank" ? 422 : 404, { "content-type": "text/plain" });
        const pour = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(100_000), () => setImmediate(pour));
        };
        pour();
        response.on("error", () => {});
      },
    });
    assert.deepEqual(await look(), [["rerank"]]);
    await Promise.all(left);
  });

  it("stay as they were while the server is too busy to say", async (t) => {
    const { server, look, abilities } = await scene(t, "probe", { paths: { "/rerank": noted } });
    assert.deepEqual(await look(), [["rerank"]]);
    await server.stop();
    abilities.invalidate();
    assert.deepEqual(await look(), [["rerank"]]);
    const busy = await scene(t, "probe", { paths: {}, other: sendJson(503, {}) });
    assert.deepEqual(await busy.look(), [[]]);
  });

  it("are asked for with growing pauses while the server does not say", async (t) => {
    const { server, clock, look, abilities } = await scene(t, "probe", {
      paths: {},
      other: sendJson(503, {}),
    });
    const lookedAt: number[] = [];
    for (clock.now = 0; clock.now < 200_000; clock.now += 5000) {
      const before = server.probed.length;
      await look();
      if (server.probed.length > before) lookedAt.push(clock.now / 1000);
    }
    assert.deepEqual(lookedAt, [0, 5, 15, 35, 75, 135, 195]);
    abilities.invalidate();
    const before = server.probed.length;
    await look();
    assert.ok(server.probed.length > before, "a server that comes back is asked at once");
  });

  it("of a router of models are asked of each that is loaded, and none is loaded for it", async (t) => {
    const asked: string[] = [];
    const { look } = await scene(t, "router", {
      paths: {
        "/tokenize": (seen) => {
          asked.push(`${seen.path} ${seen.body.toString()}`);
          sendJson(200, { tokens: [] })(seen);
        },
        "/rerank": (seen) => {
          const { model } = JSON.parse(seen.body.toString()) as { model: string };
          if (model === "bge") sendJson(400, { error: '"query" must be provided' })(seen);
          else UNSUPPORTED(seen);
        },
      },
    });
    const cards = [cardOf("bge"), cardOf("chat"), cardOf("cold", false)];
    assert.deepEqual(await look(cards), [["rerank", "tokenize"], ["tokenize"], []]);
    assert.deepEqual(asked, [
      '/tokenize?autoload=false {"model":"bge"}',
      '/tokenize?autoload=false {"model":"chat"}',
    ]);
    const swapped = [cardOf("bge", false), cardOf("chat"), cardOf("cold")];
    assert.deepEqual(await look(swapped), [["rerank", "tokenize"], ["tokenize"], ["tokenize"]]);
  });

  it("that a task shows to be missing are looked for at the next look of its backend", async (t) => {
    const server = await SurfaceServer.start({ paths: { "/rerank": UNSUPPORTED } });
    const target = { origin: server.url, prefix: "", authorization: undefined };
    const backend = new HttpBackend({ kind: "openai", target, slots: 1 });
    t.after(async () => {
      await backend.close();
      await server.stop();
    });
    assert.deepEqual((await backend.inspect(STAYS)).models[0]?.endpoints, ["rerank"]);
    server.paths = {};
    const sink = {
      head: () => {},
      write: () => {},
      progress: { connecting: () => {}, sent: () => {}, alive: () => {} },
    };
    const run = backend.run(
      aTask({
        endpoint: "openai-rerank",
        model: "bge",
        stream: false,
        body: Buffer.from('{"model":"bge"}'),
      }),
      "bge",
      sink,
      STAYS,
    );
    await assert.rejects(run, { code: "not_implemented" });
    assert.equal((await backend.inspect(STAYS)).models[0]?.endpoints, undefined);
  });
});

describe("the endpoints in a backend's address", () => {
  it("are read from behind it", () => {
    const [one, two, three] = parseBackends(
      "openai+http://h:1/v1#endpoints=rerank+Speech+rerank, http://KEY@h:2#endpoints=none, http://h:3",
    );
    assert.deepEqual(one?.endpoints, ["rerank", "speech"]);
    assert.equal(one.url, "http://h:1");
    assert.deepEqual(two?.endpoints, []);
    assert.equal(three?.endpoints, undefined);
  });

  it("must be known, and no key is told", () => {
    for (const bad of [
      "http://s3cret@h#endpoints=rerunk",
      "http://s3cret@h#endpoints=",
      "http://s3cret@h#x",
    ]) {
      assert.throws(
        () => parseBackends(bad),
        (error: Error) =>
          !error.message.includes("s3cret") && /unknown endpoint|fragment/.test(error.message),
      );
    }
  });
});
