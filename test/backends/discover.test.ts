import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  discoverLocal,
  LOCAL_PORTS,
  probePort,
  confirmKind,
  probeKind,
} from "../../src/backends/discover.ts";
import { startStandIn, type StandIn, type StandInOptions } from "../rig/backends/stand-in.ts";

const { signal } = new AbortController();

async function standInOf(t: TestContext, options: StandInOptions): Promise<StandIn> {
  const standIn = await startStandIn(options);
  t.after(() => standIn.stop());
  return standIn;
}

async function probed(t: TestContext, options: StandInOptions): Promise<string> {
  const standIn = await standInOf(t, options);
  return probeKind({ origin: standIn.url, prefix: "", authorization: undefined }, signal);
}

test("each kind is told by what only it has", async (t) => {
  const openai = { speaks: "openai" } as const;
  const list = { object: "list", data: [] };
  assert.equal(await probed(t, { speaks: "ollama" }), "ollama");
  assert.equal(await probed(t, { speaks: "both" }), "ollama");
  assert.equal(await probed(t, { ...openai, server: "llama.cpp" }), "llamacpp");
  assert.equal(await probed(t, { ...openai, documents: { "/props": { total_slots: 1 } } }), "llamacpp");
  assert.equal(await probed(t, { ...openai, documents: { "/version": { version: "0.33.0" } } }), "vllm");
  assert.equal(await probed(t, { ...openai, documents: { "/api/v0/models": list } }), "lmstudio");
  assert.equal(await probed(t, { ...openai, documents: { "/node_id": "12D3" } }), "exo");
  assert.equal(await probed(t, openai), "openai");
});

test("no LLM server, one that starts, and a gateway of ours are told apart", async (t) => {
  const web = { speaks: "openai", documents: { "/v1/models": 404 } } as const;
  await assert.rejects(probed(t, web), { code: "backend_error", message: /has neither Ollama/ });
  const starting = { speaks: "openai", documents: { "/v1/models": 503 } } as const;
  await assert.rejects(probed(t, starting), { code: "backend_busy" });
  await assert.rejects(probed(t, { server: "stargazer" }), { message: /a Stargazer gateway/ });
});

test("a kind that comes first and fails by chance leaves the kind open", async (t) => {
  const busy = { speaks: "openai", documents: { "/version": 503 } } as const;
  await assert.rejects(probed(t, busy), { code: "backend_busy" });
  assert.equal(
    await probed(t, { speaks: "openai", documents: { "/version": 404, "/props": 401 } }),
    "openai",
  );
});

test("a second look tells whether the kind is still the same", async (t) => {
  const targetOf = async (options: StandInOptions): Promise<Parameters<typeof confirmKind>[0]> => {
    const { url } = await standInOf(t, options);
    return { origin: url, prefix: "", authorization: undefined };
  };
  const ollama = await targetOf({ speaks: "ollama" });
  const llamacpp = await targetOf({ speaks: "openai", server: "llama.cpp" });
  const vllm = await targetOf({ speaks: "openai", documents: { "/version": { version: "0.33.0" } } });
  for (const [target, is] of [
    [ollama, "ollama"],
    [llamacpp, "llamacpp"],
    [vllm, "vllm"],
  ] as const) {
    for (const was of ["ollama", "llamacpp", "vllm"] as const) {
      assert.equal(await confirmKind(target, was, signal), is, `${was} is ${is}`);
    }
  }
});

test("a port has a backend, something else, or nothing", async (t) => {
  const ollama = await standInOf(t, { speaks: "ollama" });
  const web = await standInOf(t, { speaks: "openai", documents: { "/v1/models": 404 } });
  const gateway = await standInOf(t, { server: "stargazer" });
  const starting = await standInOf(t, { speaks: "openai", documents: { "/v1/models": 503 } });
  const gone = await startStandIn();
  const ports = [ollama, web, gateway, starting, gone].map(({ port }) => port);
  await gone.stop();
  const seen = await Promise.all(ports.map(async (port) => probePort(port, signal)));
  assert.deepEqual(
    seen.map((one) => (typeof one === "object" ? one.kind : one)),
    ["ollama", "other", "other", "nothing", "nothing"],
  );
});

test("this machine: what answers as a backend is found, the rest is passed over", async (t) => {
  const ollama = await standInOf(t, { speaks: "ollama" });
  const openai = await standInOf(t, { speaks: "openai" });
  const gateway = await standInOf(t, { server: "stargazer" });
  const gone = await startStandIn();
  const { port } = gone;
  await gone.stop();
  const found = await discoverLocal(signal, [ollama.port, gateway.port, port, openai.port]);
  assert.deepEqual(
    found.map(({ kind, url }) => [kind, url]),
    [
      ["ollama", ollama.url],
      ["openai", openai.url],
    ],
  );
  assert.deepEqual(new Set(LOCAL_PORTS), new Set([11_434, 8080, 8000, 1234, 52_415]));
});
