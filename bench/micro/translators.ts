/** Translators: every client's dialect in front of every backend's, per token and per request. */
import type { JsonObject } from "../../src/core/json.ts";
import type { Endpoint } from "../../src/core/task.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import type { ClientCodec, ReplyContext } from "../../src/protocols/codec.ts";
import { TOKENS, backendLines } from "./codecs.ts";
import type { Job } from "./stopwatch.ts";

const MODEL = "llama3.2";
const MESSAGES = [
  { role: "user", content: "Why is the sky blue?" },
  { role: "assistant", content: "Because of Rayleigh scattering." },
  { role: "user", content: "And why is it red in the evening?" },
];

interface Client {
  readonly endpoint: Endpoint;
  readonly body: JsonObject;
}

const CLIENTS: readonly Client[] = [
  { endpoint: "ollama-chat", body: { model: MODEL, messages: MESSAGES, options: { temperature: 0.5 } } },
  { endpoint: "openai-chat", body: { model: MODEL, messages: MESSAGES, stream: true, temperature: 0.5 } },
  { endpoint: "openai-responses", body: { model: MODEL, input: MESSAGES, stream: true, temperature: 0.5 } },
  {
    endpoint: "anthropic-messages",
    body: { model: MODEL, messages: MESSAGES, stream: true, max_tokens: 500 },
  },
];

interface Backend {
  readonly name: string;
  readonly codec: ClientCodec;
  readonly lines: readonly Buffer[];
}

const BACKENDS: readonly Backend[] = [
  { name: "Ollama", codec: ollamaClientCodec, lines: backendLines("/api/chat") },
  {
    name: "OpenAI",
    codec: openaiClientCodec(OPENAI_PROFILES.openai),
    lines: backendLines("/v1/chat/completions"),
  },
];

/** A stream through each pair, translated and, where the dialects are the same, relayed; then a request. */
export function translatorJobs(): readonly Job[] {
  const pairs = CLIENTS.flatMap((client) => BACKENDS.map((backend) => ({ client, backend })));
  return [
    ...pairs.flatMap(({ client, backend }) => relayJob(client, backend)),
    ...pairs.map(({ client, backend }) => translateJob(client, backend)),
    ...pairs.map(({ client, backend }) => requestJob(client, backend)),
  ];
}

function relayJob({ endpoint, body }: Client, { name, codec, lines }: Backend): Job[] {
  const way = codec.passthrough(endpoint);
  if (way === undefined) return [];
  const options = { body: Buffer.from(JSON.stringify(body)), stream: true, asked: MODEL, model: MODEL };
  const run = (): unknown => {
    const relay = way.relay(options);
    for (const line of lines) relay.push(line);
    return relay.end();
  };
  return [{ group: "relay, per token", name: `${endpoint} from ${name}`, units: TOKENS, run }];
}

function translateJob({ endpoint, body }: Client, { name, codec, lines }: Backend): Job {
  const server = serverCodec(endpoint);
  const request = server.decode(body);
  const run = (): unknown => {
    const reader = codec.reader({ request, stream: true });
    const writer = server.reply(contextOf(body));
    let text = "";
    for (const line of lines) for (const part of reader.push(line)) text = writer.write(part);
    for (const part of reader.end()) text = writer.write(part);
    return text;
  };
  return { group: "translate, per token", name: `${endpoint} from ${name}`, units: TOKENS, run };
}

function contextOf(body: JsonObject): ReplyContext {
  return {
    model: MODEL,
    stream: true,
    id: "4f2",
    now: () => 1_780_000_000_000,
    startedAt: 1_780_000_000_000,
    body,
  };
}

/** From the client's bytes to the backend's: parse, check, translate. */
function requestJob({ endpoint, body }: Client, { name, codec }: Backend): Job {
  const server = serverCodec(endpoint);
  const bytes = Buffer.from(JSON.stringify(body));
  const run = (): unknown => {
    const read = JSON.parse(bytes.toString()) as JsonObject;
    const { stream } = server.validate(read);
    return codec.encode(server.decode(read), { model: MODEL, stream });
  };
  return { group: "translate, per request", name: `${endpoint} to ${name}`, units: 1, run };
}
