import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { ProbedBackend } from "../../src/backends/probed-backend.ts";
import { NO_PROGRESS } from "../rig/no-progress.ts";
import { startStandIn, type StandIn, type StandInOptions } from "../rig/backends/stand-in.ts";
import { aTask } from "../rig/task.ts";
import { LocalServer } from "../rig/local-server.ts";

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

/** A proxy before a vLLM, then before a llama.cpp, which lets answers come to their end. */
async function proxied(t: TestContext): Promise<{
  readonly url: string;
  readonly swap: () => void;
  readonly begun: Promise<ServerResponse>;
}> {
  let isSwapped = false;
  const { promise: begun, resolve } = Promise.withResolvers<ServerResponse>();
  const documents = (path: string): unknown => {
    if (path === "/version" && !isSwapped) return { version: "0.33.0" };
    if (path === "/props" && isSwapped) return { total_slots: 1 };
    return path === "/v1/models" ? { data: [{ id: "big" }] } : undefined;
  };
  const server = await LocalServer.forTest(t, (request, response) => {
    if (isSwapped) response.setHeader("server", "llama.cpp");
    if (request.url === "/v1/chat/completions") {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(event({ content: "a" }, null));
      resolve(response);
      return;
    }
    const document = documents(request.url ?? "");
    response.writeHead(document === undefined ? 404 : 200).end(JSON.stringify(document ?? {}));
  });
  return { url: server.url, swap: () => (isSwapped = true), begun };
}

function event(delta: object, reason: string | null): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
}

const TASK = aTask({
  model: "big",
  createdAt: 0,
  deadline: 1,
  requestId: "",
  body: Buffer.from('{"model":"big","stream":true,"messages":[]}'),
});

test("an answer that has begun comes to its end though another kind is in the place of its server", async (t) => {
  const { url, swap, begun } = await proxied(t);
  let now = 0;
  const address = { origin: url, prefix: "", authorization: undefined, kind: undefined, url };
  const backend = new ProbedBackend({ address, limits: { slots: 0 }, mono: () => now });
  t.after(() => backend.close());
  await backend.inspect(signal);
  let text = "";
  const write = (bytes: Buffer): void => void (text += bytes.toString());
  const answer = backend.run(TASK, "big", { head: () => {}, write, progress: NO_PROGRESS }, signal);
  const response = await begun;
  swap();
  now = MINUTE;
  await backend.inspect(signal);
  assert.equal(backend.kind, "llamacpp");
  response.end(`${event({ content: "b" }, null)}${event({}, "stop")}data: [DONE]\n\n`);
  await answer;
  assert.match(text, /"a".*"b".*DONE/s);
});
