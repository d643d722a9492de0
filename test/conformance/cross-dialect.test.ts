import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { sharedFleet } from "../rig/fleet/fleet.ts";
import { startLlamacpp } from "./llamacpp-stand-in.ts";
import { startOllama } from "./ollama-stand-in.ts";
import type { RecordedServer } from "./recorded-server.ts";
import { recording, requestOf, type Server } from "./recordings.ts";
import { callsIn, readTelling, type Telling, textIn } from "./telling.ts";

const alone = sharedFleet({ posts: [] });

/** A client's dialect: its request, and its names for the ends of an answer. */
interface Client {
  readonly path: string;
  readonly ask: object;
  readonly tools: object;
  readonly ends: { readonly stop: string; readonly length: string; readonly calls: string };
}

const MESSAGES = [{ role: "user", content: "Say hi." }];
const SCHEMA = { type: "object", properties: { city: { type: "string" } } };
const WEATHER = { name: "get_weather", description: "Get weather" };
const NESTED_TOOLS = { tools: [{ type: "function", function: { ...WEATHER, parameters: SCHEMA } }] };

const CLIENTS: readonly Client[] = [
  {
    path: "/api/chat",
    ask: { messages: MESSAGES },
    tools: NESTED_TOOLS,
    ends: { stop: "stop", length: "length", calls: "stop" },
  },
  {
    path: "/v1/chat/completions",
    ask: { messages: MESSAGES, stream_options: { include_usage: true } },
    tools: NESTED_TOOLS,
    ends: { stop: "stop", length: "length", calls: "tool_calls" },
  },
  {
    path: "/v1/messages",
    ask: { messages: MESSAGES, max_tokens: 64 },
    tools: { tools: [{ ...WEATHER, input_schema: SCHEMA }] },
    ends: { stop: "end_turn", length: "max_tokens", calls: "tool_use" },
  },
  {
    path: "/v1/responses",
    ask: { input: "Say hi.", reasoning: { summary: "auto" } },
    tools: { tools: [{ type: "function", ...WEATHER, parameters: SCHEMA }] },
    ends: { stop: "completed", length: "incomplete", calls: "completed" },
  },
];

const TEXT_CLIENTS: readonly Client[] = [
  {
    path: "/api/generate",
    ask: { prompt: "Once upon a time", raw: true },
    tools: {},
    ends: { stop: "stop", length: "length", calls: "stop" },
  },
  {
    path: "/v1/completions",
    ask: { prompt: "Once upon a time", stream_options: { include_usage: true } },
    tools: {},
    ends: { stop: "stop", length: "length", calls: "stop" },
  },
];

interface Case {
  readonly server: RecordedServer;
  readonly kind: Server;
  /** Its number. */
  readonly number: string;
  readonly url: string;
}

interface Heard {
  readonly status: number;
  readonly meaningful: Telling;
}

/** Asks in a client's dialect while the stand-in answers with a recording. */
async function hear(client: Client, { server, kind, number, url }: Case): Promise<Heard> {
  const transcript = recording(kind, number);
  server.on = transcript;
  const { model, tools } = JSON.parse(requestOf(transcript)) as { model: string; tools?: unknown };
  const stream = /stream|ndjson/.test(transcript.headers.get("content-type") ?? "");
  const body = { model, ...client.ask, ...(tools === undefined ? {} : client.tools), stream };
  const reply = await fetch(url + client.path, { method: "POST", body: JSON.stringify(body) });
  const type = reply.headers.get("content-type") ?? "";
  return { status: reply.status, meaningful: readTelling(type, await reply.text()) };
}

/** Checks that clients of every dialect get the contents of a recording. */
async function sameFor(t: TestContext, clients: readonly Client[], one: Case): Promise<void> {
  const transcript = recording(one.kind, one.number);
  const recorded = readTelling(transcript.headers.get("content-type") ?? "", transcript.body.toString());
  for (const client of clients) {
    await t.test(`${one.kind} ${transcript.name} through ${client.path}`, async () => {
      const { status, meaningful } = await hear(client, one);
      assert.equal(status, 200);
      assert.equal(meaningful.error, undefined);
      assert.equal(textIn(meaningful, "text"), textIn(recorded, "text"));
      assert.equal(textIn(meaningful, "thinking"), textIn(recorded, "thinking"));
      assert.deepEqual(callsIn(meaningful), callsIn(recorded));
      const end = callsIn(recorded).length > 0 ? "calls" : endOf(recorded.finish);
      assert.equal(meaningful.finish, client.ends[end]);
      if (recorded.promptTokens === undefined) return;
      assert.equal(meaningful.promptTokens, recorded.promptTokens);
      assert.equal(meaningful.completionTokens, recorded.completionTokens);
    });
  }
}

function endOf(finish: string | undefined): "stop" | "length" {
  return finish === "length" ? "length" : "stop";
}

/** A recorded error has its status in every dialect; after the first token it ends the stream as an error. */
async function errorFor(t: TestContext, clients: readonly Client[], one: Case): Promise<void> {
  const transcript = recording(one.kind, one.number);
  for (const client of clients) {
    await t.test(`${one.kind} ${transcript.name} through ${client.path}`, async () => {
      const { status, meaningful } = await hear(client, one);
      assert.equal(status, transcript.status);
      assert.match(meaningful.error ?? "", /\w/);
      assert.equal(meaningful.finish, undefined);
    });
  }
}

alone("Ollama's recorded answers through every dialect", async (fleet, t) => {
  const server = await startOllama();
  const one = { server, kind: "ollama" as const, url: fleet.gateway.url };
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}` });
    await fleet.known("smollm2");
    // Text, a call, thinking, JSON; streams and whole answers.
    for (const number of ["092", "093", "106", "107", "301", "302", "111", "112", "114", "115"]) {
      await sameFor(t, CLIENTS, { ...one, number });
    }
    for (const number of ["030", "031"]) await sameFor(t, TEXT_CLIENTS, { ...one, number });
    for (const number of ["320", "105"]) await errorFor(t, CLIENTS, { ...one, number });
    await errorFor(t, TEXT_CLIENTS, { ...one, number: "321" });
  } finally {
    await server.stop();
  }
});

/** Otherwise a request waits for a lone backend that is busy, for a minute in the end. */
const AT_ONCE = { SGNET_BUSY_LIMIT: "1" };

alone("a full Ollama through every dialect", async (fleet, t) => {
  const server = await startOllama();
  const one = { server, kind: "ollama" as const, url: fleet.gateway.url };
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}`, ...AT_ONCE });
    await fleet.known("smollm2");
    await errorFor(t, CLIENTS, { ...one, number: "402" });
    await errorFor(t, TEXT_CLIENTS, { ...one, number: "401" });
  } finally {
    await server.stop();
  }
});

alone("llama-server's recorded answers through every dialect", async (fleet, t) => {
  const server = await startLlamacpp("chat");
  const one = { server, kind: "llamacpp" as const, url: fleet.gateway.url };
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `llamacpp+${server.url}` });
    await fleet.known("smollm2");
    for (const number of ["018", "019", "020", "022", "036", "043", "045", "047", "049", "133", "134"]) {
      await sameFor(t, CLIENTS, { ...one, number });
    }
    for (const number of ["051", "052"]) await sameFor(t, TEXT_CLIENTS, { ...one, number });
    for (const number of ["030", "031"]) await errorFor(t, CLIENTS, { ...one, number });
  } finally {
    await server.stop();
  }
});
