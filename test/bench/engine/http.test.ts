import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { engineServer } from "../../../bench/engine/http.ts";
import type { EngineServer } from "../../../bench/engine/http.ts";
import { USUAL_ENGINE, usualModels } from "../../../bench/engine/spec.ts";
import { HttpOrigin } from "../../../src/backends/http.ts";
import { inspectOllama } from "../../../src/backends/inspect-ollama.ts";
import { parseBackends } from "../../../src/backends/address.ts";
import { loadTranscript } from "../../rig/transcript.ts";
import { until } from "../../rig/until.ts";

/** Simulated ms per ms. */
const SPEED = 20;

/** Names of the fields, in order, those within objects too. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.entries(value).map(([key, its]) => [key, shapeOf(its)]);
}

/** JSON of a line without what the engine does not make: the tokens of a conversation, as numbers. */
function parsed(line: string): unknown {
  const { context: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
  return rest;
}

const linesOf = (text: string): unknown[] => text.trimEnd().split("\n").map(parsed);

const MESSAGES = [{ role: "user", content: "Say hi." }];
const EIGHT = { options: { num_predict: 8 } };

/** Recorded of Ollama, and what the engine is asked for the same. */
const ANSWERS: readonly (readonly [transcript: string, path: string, body: object])[] = [
  ["030", "/api/generate", { model: "sim-a", prompt: "hi", ...EIGHT }],
  ["031", "/api/generate", { model: "sim-a", prompt: "hi", stream: false, ...EIGHT }],
  ["037", "/api/generate", { model: "sim-a" }],
  ["042", "/api/generate", { model: "sim-a", keep_alive: 0 }],
  ["092", "/api/chat", { model: "sim-a", messages: MESSAGES, ...EIGHT }],
  ["093", "/api/chat", { model: "sim-a", messages: MESSAGES, stream: false, ...EIGHT }],
  ["094", "/api/chat", { model: "sim-a", messages: [] }],
  ["096", "/api/chat", { model: "sim-a", messages: [], keep_alive: 0 }],
];

const REFUSED: readonly (readonly [transcript: string, path: string, body: object | string])[] = [
  ["044", "/api/generate", { model: "sim-a", prompt: "hi", keep_alive: "abc" }],
  ["046", "/api/generate", { prompt: "hi" }],
  ["047", "/api/generate", { model: "nope", prompt: "hi" }],
  ["049", "/api/generate", '{"model":"smollm2",'],
  ["051", "/api/generate", ""],
];

describe("the simulated engine as a server", () => {
  let served: EngineServer;
  let base = "";

  beforeEach(async () => {
    served = engineServer({ ...USUAL_ENGINE, models: usualModels(2), maxQueue: 1 }, SPEED);
    served.server.listen(0, "127.0.0.1");
    await once(served.server, "listening");
    base = `http://127.0.0.1:${(served.server.address() as AddressInfo).port}`;
  });
  afterEach(() => served.stop());

  const post = async (path: string, body: object | string): Promise<Response> =>
    await fetch(base + path, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const get = async (path: string): Promise<Response> => await fetch(base + path);

  for (const [name, path, body] of ANSWERS) {
    it(`answers ${JSON.stringify(body)} at ${path} field for field as Ollama does`, async () => {
      const recorded = loadTranscript("ollama", name);
      const answer = await post(path, body);
      assert.equal(answer.status, recorded.status);
      assert.equal(answer.headers.get("content-type"), recorded.headers.get("content-type"));
      const own = linesOf(await answer.text());
      assert.deepEqual(own.map(shapeOf), linesOf(recorded.body.toString()).map(shapeOf));
    });
  }

  for (const [name, path, body] of REFUSED) {
    it(`refuses ${JSON.stringify(body)} in Ollama's words`, async () => {
      const recorded = loadTranscript("ollama", name);
      const answer = await post(path, body);
      assert.deepEqual([answer.status, await answer.text()], [recorded.status, recorded.body.toString()]);
    });
  }

  it("refuses what comes when its queue is full", async () => {
    const recorded = loadTranscript("ollama", "401");
    // One loads, one is at the head, one waits: the fourth is one too many.
    const answers = await Promise.all(
      [1, 2, 3, 4].map(async () => await post("/api/generate", { model: "sim-a", prompt: "hi" })),
    );
    const full = answers.find(({ status }) => status !== 200);
    assert.deepEqual([full?.status, await full?.text()], [recorded.status, recorded.body.toString()]);
  });

  it("is to a worker an Ollama that tells its models and what of them is loaded", async () => {
    await (await post("/api/generate", { model: "sim-b", options: { num_ctx: 8192 } })).text();
    const [address] = parseBackends(`ollama+${base}`);
    assert.ok(address !== undefined);
    const origin = new HttpOrigin(address);
    const { models } = await inspectOllama(origin, AbortSignal.timeout(5000));
    await origin.close();
    assert.deepEqual(
      models.map(({ name, resident, load }) => [name, resident, load?.contextLength]),
      [
        ["sim-a:latest", false, undefined],
        ["sim-b:latest", true, 8192],
      ],
    );
    const lifeMs = (models[1]?.load?.expiresAt ?? 0) - Date.now();
    assert.ok(lifeMs > 10_000 && lifeMs <= 300_000 / SPEED, `expires in ${lifeMs} ms`);
  });

  it("tells its lists field for field as Ollama does", async () => {
    await (await post("/api/generate", { model: "sim-b" })).text();
    for (const [name, path] of [
      ["006", "/api/tags"],
      ["010", "/api/ps"],
    ] as const) {
      const recorded: unknown = JSON.parse(loadTranscript("ollama-server", name).body.toString());
      assert.deepEqual(
        shapeOf(firstModel(await (await get(path)).json())),
        shapeOf(firstModel(recorded)),
        path,
      );
    }
  });

  it("embeds each input", async () => {
    const answer = await post("/api/embed", { model: "sim-a", input: ["one", "two"] });
    const { embeddings } = (await answer.json()) as { embeddings: number[][] };
    assert.deepEqual(
      embeddings.map((vector) => Math.hypot(...vector)),
      [1, 1],
    );
  });

  it("tells the load in its counts, in real time", async () => {
    const told: number[] = [];
    for (const prompt of ["one", "two"]) {
      const answer = await post("/api/generate", { model: "sim-a", prompt, stream: false });
      told.push(((await answer.json()) as { load_duration: number }).load_duration / 1e6);
    }
    assert.deepEqual(told.map(Math.round), [1000 / SPEED, 0]);
  });

  it("stops the work of a client that hangs up, and counts it", async () => {
    const request = http.request(`${base}/api/generate`, { method: "POST" });
    request.end(JSON.stringify({ model: "sim-a", prompt: "hi", options: { num_predict: 100_000 } }));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    await once(response, "data");
    const closed = once(response, "close").catch(() => undefined);
    request.destroy();
    await closed;
    // The next answer has come after the engine saw the other one's end, or waits for it.
    await until("the end of the other answer", async () => {
      const counters = (await (await get("/sim/counters")).json()) as { aborted: number; answers: number };
      if (counters.aborted !== 1) assert.equal(counters.answers, 0);
      return counters.aborted === 1;
    });
  });

  it("tells slots and metrics as llama.cpp does", async () => {
    await (await post("/api/generate", { model: "sim-a", prompt: "hi" })).text();
    const recorded: unknown = JSON.parse(loadTranscript("llamacpp-server", "004").body.toString());
    assert.deepEqual(shapeOf(await (await get("/slots")).json()), shapeOf(recorded));
    const known = new Set(loadTranscript("llamacpp-server", "005").body.toString().split("\n").map(nameOf));
    const own = (await (await get("/metrics")).text()).trimEnd().split("\n");
    assert.deepEqual(
      own.filter((line) => !known.has(nameOf(line))),
      [],
    );
    assert.ok(own.includes("llamacpp:tokens_predicted_total 10"));
  });

  it("says so of what it does not have", async () => {
    assert.deepEqual([(await get("/nothing")).status, (await post("/nothing", {})).status], [404, 404]);
  });
});

function firstModel(document: unknown): unknown {
  return (document as { models: unknown[] }).models[0];
}

/** The subject of a line of metrics: all but its number. */
function nameOf(line: string): string {
  return line.replace(/ [\d.]+$/, "");
}
