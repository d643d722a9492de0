import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { BackendState } from "../../src/backends/backend.ts";
import { HttpBackend } from "../../src/backends/http-backend.ts";
import type { HttpKind } from "../../src/backends/profiles.ts";
import {
  STAND_IN_DIGEST,
  startStandIn,
  type StandIn,
  type StandInOptions,
} from "../rig/backends/stand-in.ts";

const { signal } = new AbortController();

async function backendOf(
  t: TestContext,
  kind: HttpKind,
  options: StandInOptions & { readonly slots?: number } = {},
): Promise<{ readonly backend: HttpBackend; readonly standIn: StandIn }> {
  const standIn = await startStandIn({ speaks: kind === "ollama" ? "ollama" : "openai", ...options });
  const target = { origin: standIn.url, prefix: "", authorization: undefined };
  const backend = new HttpBackend({ kind, target, slots: options.slots ?? 0 });
  t.after(async () => {
    await backend.close();
    await standIn.stop();
  });
  return { backend, standIn };
}

async function inspected(
  t: TestContext,
  kind: HttpKind,
  options: StandInOptions & { readonly slots?: number } = {},
): Promise<BackendState> {
  const { backend } = await backendOf(t, kind, options);
  return backend.inspect(signal);
}

test("Ollama: tags and what is in memory", async (t) => {
  const { models, slots } = await inspected(t, "ollama", { models: ["tiny:latest", "me/big:7b"] });
  assert.equal(slots, 4);
  assert.deepEqual(models[0], {
    key: "tiny",
    name: "tiny:latest",
    modifiedAt: Date.parse("2026-11-22T19:59:56.718Z"),
    size: 98_362_745,
    digest: STAND_IN_DIGEST,
    format: "gguf",
    family: "llama",
    parameterSize: "134.52M",
    quantization: "Q4_1",
    contextLength: 8192,
    capabilities: ["completion", "tools"],
    ownedBy: "library",
    resident: true,
    load: { size: 98_362_745, sizeVram: 0, expiresAt: undefined, contextLength: 0 },
  });
  assert.deepEqual([models[1]?.key, models[1]?.ownedBy, models[1]?.resident], ["me/big:7b", "me", false]);
});

test("Ollama: a model of its cloud answers without a load, and takes no memory", async (t) => {
  const entry = { name: "far:120b-cloud", remote_host: "https://ollama.com:443", remote_model: "far:120b" };
  const documents = { "/api/tags": { models: [entry] }, "/api/ps": { models: [] } };
  const { models } = await inspected(t, "ollama", { documents });
  assert.deepEqual([models[0]?.resident, models[0]?.remote, models[0]?.load], [true, true, undefined]);
});

test("odd entries are skipped, odd fields count as absent", async (t) => {
  const documents = {
    "/api/tags": {
      models: [
        null,
        7,
        {},
        { name: "bad\nname" },
        { name: "a", size: "big", digest: 1, details: [], modified_at: "never", capabilities: [1] },
        { name: "a", size: 5 },
        JSON.parse('{"name":"__proto__x","__proto__":{"size":1}}'),
      ],
    },
    "/api/ps": { models: [{ name: { a: 1 } }] },
  };
  const { models } = await inspected(t, "ollama", { documents });
  assert.deepEqual(
    models.map(({ name }) => name),
    ["a", "__proto__x"],
  );
  const [card] = models;
  assert.deepEqual([card?.size, card?.family, card?.capabilities], [0, "", ["completion"]]);
  assert.match(card?.digest ?? "", /^[0-9a-f]{64}$/);
});

test("slots: the setting, else what the server tells, else its kind's default", async (t) => {
  const documents = { "/props": { total_slots: 3 } };
  assert.equal((await inspected(t, "llamacpp", { documents })).slots, 3);
  assert.equal((await inspected(t, "llamacpp", { documents, slots: 9 })).slots, 9);
  assert.equal((await inspected(t, "llamacpp")).slots, 1);
  assert.equal((await inspected(t, "vllm")).slots, 64);
  assert.equal((await inspected(t, "lmstudio")).slots, 4);
  assert.equal((await inspected(t, "openai")).slots, 8);
  const exo = { documents: { "/state": { instances: {} } } };
  assert.equal((await inspected(t, "exo", exo)).slots, 1);
});

test("llama.cpp: sizes and abilities", async (t) => {
  const meta = { n_ctx: 2048, n_params: 134_515_008, size: 96_576_768, ftype: "Q4_1" };
  const entry = { id: "smollm2", created: 1_795_378_294, owned_by: "llamacpp", meta };
  const eyes = { input_modalities: ["text", "image"] };
  const documents = {
    "/v1/models": {
      data: [entry, { id: "other", architecture: eyes, status: { value: "unloaded" } }],
    },
    "/props": { total_slots: 2, chat_template_caps: { supports_tools: true } },
  };
  const { models } = await inspected(t, "llamacpp", { documents });
  const [first, second] = models;
  assert.deepEqual(
    [first?.parameterSize, first?.quantization, first?.contextLength, first?.size, first?.format],
    ["134.52M", "Q4_1", 2048, 96_576_768, "gguf"],
  );
  assert.deepEqual(first?.capabilities, ["completion", "tools"]);
  assert.deepEqual(second?.capabilities, ["completion", "tools", "vision"]);
  assert.deepEqual([first?.resident, second?.resident], [true, false]);
});

test("a model without a date of its own keeps that of its first sight", async (t) => {
  const { backend } = await backendOf(t, "vllm");
  const before = Date.now();
  const first = (await backend.inspect(signal)).models[0]?.modifiedAt ?? 0;
  const second = (await backend.inspect(signal)).models[0]?.modifiedAt;
  assert.ok(first >= before && first <= Date.now());
  assert.equal(second, first);
});

test("vLLM and other OpenAI servers: ids and context lengths", async (t) => {
  const data = [{ id: "Org/Model-7B", max_model_len: 4096, owned_by: "vllm", created: 9 }];
  const documents = { "/v1/models": { data } };
  const [card] = (await inspected(t, "vllm", { documents })).models;
  assert.deepEqual([card?.name, card?.key, card?.contextLength], ["Org/Model-7B", "org/model-7b", 4096]);
  const [same] = (await inspected(t, "openai", { documents })).models;
  assert.deepEqual([same?.modifiedAt, same?.digest, same?.ownedBy], [9000, card?.digest, "vllm"]);
});

test("LM Studio: its own list, or OpenAI's where there is none", async (t) => {
  const data = [
    { id: "a", type: "vlm", arch: "qwen", state: "loaded", max_context_length: 9, quantization: "Q4" },
    { id: "b", type: "embeddings", state: "not-loaded", publisher: "nomic" },
    { id: "c", type: "llm", capabilities: ["tool_use"] },
  ];
  const { models } = await inspected(t, "lmstudio", { documents: { "/api/v0/models": { data } } });
  assert.deepEqual(
    models.map(({ name, capabilities, resident }) => [name, capabilities.join(), resident]),
    [
      ["a", "completion,vision", true],
      ["b", "embedding", false],
      ["c", "completion,tools", false],
    ],
  );
  assert.equal((await inspected(t, "lmstudio")).models[0]?.name, "tiny:latest");
});

test("Exo: only models that have an instance", async (t) => {
  const documents = {
    "/state": {
      instances: {
        one: { MlxRingInstance: { shardAssignments: { modelId: "m/a" } } },
        two: { shard_assignments: { model_id: "m/b" } },
        odd: null,
      },
    },
  };
  const models = ["m/a", "m/b", "m/c"];
  const state = await inspected(t, "exo", { documents, models });
  assert.deepEqual(
    state.models.map(({ name }) => name),
    ["m/a", "m/b"],
  );
});

test("a server that loads is busy, one that is none is an error, none is unreachable", async (t) => {
  const loading = { documents: { "/v1/models": 503, "/props": 503 } };
  await assert.rejects(inspected(t, "llamacpp", loading), { code: "backend_busy" });
  await assert.rejects(inspected(t, "openai", { speaks: "ollama" }), { code: "backend_error" });
  const odd = { documents: { "/v1/models": { data: "none" } } };
  await assert.rejects(inspected(t, "openai", odd), { code: "backend_error" });
  const { backend, standIn } = await backendOf(t, "ollama");
  await standIn.stop();
  await assert.rejects(backend.inspect(signal), { code: "backend_unreachable" });
});

const PATHS: readonly string[] = [
  "/models/Qwen3-8B",
  "./x.gguf",
  "My Model",
  "org/model,v1",
  "модель",
  "{a}",
];

test("ids that are paths, or have blanks, are served; others are told with the reason", async (t) => {
  const bad = ["a\nb", " a", "x".repeat(601), "\ud800"];
  const documents = { "/v1/models": { data: [...PATHS, ...bad].map((id) => ({ id })) } };
  for (const kind of ["openai", "vllm", "llamacpp"] as const) {
    const { models, unserved = [] } = await inspected(t, kind, { documents });
    assert.deepEqual(
      models.map(({ name }) => name),
      PATHS,
      kind,
    );
    assert.equal(unserved.length, bad.length);
    assert.match(unserved[0] ?? "", /^"a\\nb": it has characters that cannot be shown$/);
    assert.ok(unserved.every((text) => text.length < 200));
  }
});

test("a list may be bare, of objects or of ids", async (t) => {
  for (const list of [["a", "b"], [{ id: "a" }, { id: "b" }], { data: [{ name: "a" }, { model: "b" }] }]) {
    const documents = { "/v1/models": list };
    const { models } = await inspected(t, "openai", { documents });
    assert.deepEqual(
      models.map(({ name }) => name),
      ["a", "b"],
      JSON.stringify(list),
    );
  }
});

const tags = (digest: string): object => ({
  models: [
    { name: "new", capabilities: ["completion"] },
    { name: "old", digest },
    { name: "odd", digest },
  ],
});

test("what a model of an older Ollama can do is asked for once", async (t) => {
  const documents: Record<string, unknown> = { "/api/tags": tags("a"), "/api/ps": { models: [] } };
  const shown = JSON.stringify({ template: "{{ .Tools }}{{ .Think }}", model_info: { "a.vision.b": 1 } });
  const answers = { "/api/show": { contentType: "application/json", body: shown } };
  const { backend, standIn } = await backendOf(t, "ollama", { documents, answers });
  for (const _ of [1, 2]) {
    const { models } = await backend.inspect(signal);
    assert.deepEqual(
      models.map(({ capabilities }) => capabilities.length),
      [1, 4, 4],
    );
  }
  const asked = (): string[] => standIn.requests.map(({ body }) => String(body["model"]));
  assert.deepEqual(
    asked().toSorted((a, b) => a.localeCompare(b)),
    ["odd", "old"],
  );
  standIn.behaviour.answers = {
    "/api/show": { contentType: "application/json", body: '{"capabilities":["embedding"]}' },
  };
  documents["/api/tags"] = tags("b");
  const { models } = await backend.inspect(signal);
  assert.deepEqual(models[1]?.capabilities, ["embedding"]);
  assert.equal(asked().length, 4);
});
