import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ProbedBackend } from "../../src/backends/probed-backend.ts";
import { startStandIn, type StandIn, type StandInOptions } from "../stand-in.ts";

const { signal } = new AbortController();
const MINUTE = 60_000;

interface Rig {
  readonly backend: ProbedBackend;
  readonly changes: string[];
  /** Ends the server at the address, if there is one, and starts another. */
  readonly replace: (options: StandInOptions | undefined) => Promise<void>;
  /** Lets time pass, ms. */
  readonly pass: (ms: number) => void;
}

async function rig(t: TestContext, first: StandInOptions): Promise<Rig> {
  let standIn: StandIn | undefined = await startStandIn(first);
  const { port, url } = standIn;
  let now = 0;
  const changes: string[] = [];
  const backend = new ProbedBackend({
    address: { origin: url, prefix: "", authorization: undefined, kind: undefined, url },
    limits: { slots: 0 },
    mono: () => now,
    onKind: (name, before) => changes.push(`${before.split("@")[0]} > ${name.split("@")[0]}`),
  });
  t.after(async () => {
    await backend.close();
    await standIn?.stop();
  });
  return {
    backend,
    changes,
    replace: async (options) => {
      await standIn?.stop();
      standIn = options === undefined ? undefined : await startStandIn({ ...options, port });
      // The backend hears that its idle connections were closed: a look over one of them would fail.
      for (let turns = 0; turns < 10; turns++) await turn();
    },
    pass: (ms) => {
      now += ms;
    },
  };
}

const llamacpp = {
  speaks: "openai",
  server: "llama.cpp",
  documents: { "/props": { total_slots: 3 } },
} as const;
const vllm = { speaks: "openai", models: ["big"], documents: { "/version": { version: "0.33.0" } } } as const;
const ollama = { speaks: "ollama" } as const;

test("a server that goes away and comes back as another kind is served as that", async (t) => {
  const { backend, changes, replace } = await rig(t, llamacpp);
  assert.equal(backend.kind, "unknown");
  assert.equal((await backend.inspect(signal)).slots, 3);
  assert.match(backend.name, /^llamacpp@/);
  await replace(undefined);
  await assert.rejects(backend.inspect(signal), { code: "backend_unreachable" });
  assert.equal(backend.kind, "llamacpp");
  await replace(vllm);
  const { models } = await backend.inspect(signal);
  assert.equal(models[0]?.name, "big");
  assert.match(backend.name, /^vllm@/);
  await replace(undefined);
  await assert.rejects(backend.inspect(signal));
  await replace(ollama);
  await backend.inspect(signal);
  assert.equal(backend.kind, "ollama");
  assert.equal(backend.loadsOnDemand, true);
  assert.deepEqual(changes, ["llamacpp > vllm", "vllm > ollama"]);
});

test("one that comes back as it was is the same, and nothing is told", async (t) => {
  const { backend, changes, replace } = await rig(t, ollama);
  await backend.inspect(signal);
  await replace(undefined);
  await assert.rejects(backend.inspect(signal));
  await replace(ollama);
  await backend.inspect(signal);
  assert.equal(backend.kind, "ollama");
  assert.deepEqual(changes, []);
});

test("one that is replaced between two looks is seen within two looks", async (t) => {
  const { backend, replace } = await rig(t, ollama);
  await backend.inspect(signal);
  await replace(vllm);
  await assert.rejects(backend.inspect(signal));
  await backend.inspect(signal);
  assert.equal(backend.kind, "vllm");
});

test("one that passes the other's look is seen within a minute", async (t) => {
  const { backend, replace, pass } = await rig(t, vllm);
  await backend.inspect(signal);
  await replace(llamacpp);
  await backend.inspect(signal);
  assert.equal(backend.kind, "vllm");
  pass(MINUTE);
  await backend.inspect(signal);
  assert.equal(backend.kind, "llamacpp");
});

test("a server that is too busy to tell its kind keeps it", async (t) => {
  const { backend, changes, replace, pass } = await rig(t, vllm);
  await backend.inspect(signal);
  await replace({ ...vllm, documents: { "/version": 503 } });
  pass(MINUTE);
  await backend.inspect(signal);
  assert.equal(backend.kind, "vllm");
  assert.deepEqual(changes, []);
});
