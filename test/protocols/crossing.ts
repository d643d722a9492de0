import assert from "node:assert/strict";
import { isObject, type JsonObject } from "../../src/core/json.ts";
import type { Part } from "../../src/core/chat.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { ollamaClientCodec } from "../../src/protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../../src/protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../../src/protocols/openai/profiles.ts";
import type { ClientCodec } from "../../src/protocols/codec.ts";
import { splitAt } from "../rig/split.ts";

/** A backend's reply as a client of any dialect sees it. Its content is read back without the code under test. */

export const CODECS: Readonly<Record<"openai" | "ollama", ClientCodec>> = {
  openai: openaiClientCodec(OPENAI_PROFILES.openai),
  ollama: ollamaClientCodec,
};

export type ChatEndpoint = "ollama-chat" | "openai-chat" | "openai-responses" | "anthropic-messages";

export const CHAT_ENDPOINTS: readonly ChatEndpoint[] = [
  "ollama-chat",
  "openai-chat",
  "openai-responses",
  "anthropic-messages",
];

const parameters = { type: "object", properties: {} };
export const TOOL_NAMES: readonly string[] = ["get", "get_time", "get_place", "note"];

/** A request with tools, in each dialect. */
export function chatBody(endpoint: ChatEndpoint, stream: boolean): JsonObject {
  const functions = TOOL_NAMES.map((name) => ({ type: "function", function: { name, parameters } }));
  const messages = [{ role: "user", content: "hi" }];
  switch (endpoint) {
    case "ollama-chat":
    case "openai-chat":
      return { model: "m", stream, messages, tools: functions };
    case "openai-responses":
      return {
        model: "m",
        stream,
        input: "hi",
        tools: TOOL_NAMES.map((name) => ({ type: "function", name, parameters })),
      };
    case "anthropic-messages":
      return {
        model: "m",
        stream,
        max_tokens: 99,
        messages,
        tools: TOOL_NAMES.map((name) => ({ name, input_schema: parameters })),
      };
  }
}

export interface Crossing {
  readonly from: "openai" | "ollama";
  readonly to: ChatEndpoint;
  readonly stream: boolean;
  readonly bytes: Buffer;
  /** Where the bytes are cut into pieces. */
  readonly cuts?: readonly number[];
}

/** The neutral parts of a backend's reply. Throws what the reader throws. */
export function partsOf({ from, to, stream, bytes, cuts = [] }: Crossing): Part[] {
  const request = serverCodec(to).decode(chatBody(to, stream));
  const reader = CODECS[from].reader({ request, stream });
  return [...splitAt(bytes, cuts).flatMap((piece) => Array.from(reader.push(piece))), ...reader.end()];
}

/** Returns the bytes that the client gets of a translated reply. Throws the reader's errors. */
export function translated(crossing: Crossing): string {
  const { to, stream } = crossing;
  const body = chatBody(to, stream);
  const writer = serverCodec(to).reply({
    model: "m",
    stream,
    id: "r",
    now: () => 2000,
    startedAt: 1000,
    body,
  });
  return partsOf(crossing)
    .map((part) => writer.write(part))
    .join("");
}

/** Returns the bytes that the client gets of a relayed reply. Throws the relay's errors. */
export function relayed({ from, to, stream, bytes, cuts = [] }: Crossing, asked: JsonObject = {}): string {
  const way = CODECS[from].passthrough(to);
  assert.ok(way !== undefined);
  const body = Buffer.from(JSON.stringify({ ...chatBody(to, stream), ...asked }));
  const relay = way.relay({ body, stream, asked: "m", model: "m" });
  const pieces = splitAt(bytes, cuts).map((piece) => relay.push(piece));
  return Buffer.concat([...pieces, relay.end()]).toString();
}

/** The content of a reply, whatever its dialect. */
export interface Told {
  readonly text: string;
  readonly thinking: string;
  /** Arguments as text: canonical JSON where they are an object. */
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
  /** In the dialect's own word. */
  readonly end: string;
}

/** Reads a client's reply as its client would. */
export function readTold(to: ChatEndpoint, reply: string, stream: boolean): Told {
  switch (to) {
    case "ollama-chat":
      return ollamaTold(reply);
    case "openai-chat":
      return stream ? openaiStreamTold(reply) : openaiTold(objectOf(reply));
    case "openai-responses":
      return responseTold(reply, stream);
    case "anthropic-messages":
      return stream ? anthropicStreamTold(reply) : anthropicTold(objectOf(reply));
  }
}

/** Object by object, as loosely as a test may: missing content shows up in the comparison. */
// oxlint-disable-next-line typescript/no-explicit-any -- a test's reader of foreign JSON
type Loose = any;

function objectOf(text: string): Loose {
  const value: unknown = JSON.parse(text);
  assert.ok(isObject(value));
  return value;
}

function canonical(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

function ollamaTold(reply: string): Told {
  const lines = reply.trimEnd().split("\n").map(objectOf);
  const messages = lines.map(({ message }) => message);
  const calls = messages.flatMap(({ tool_calls }) => tool_calls ?? []).map((call: Loose) => call.function);
  const last = lines.at(-1);
  assert.equal(last.done, true);
  return {
    text: messages.map(({ content }) => content).join(""),
    thinking: messages.map(({ thinking }) => thinking ?? "").join(""),
    calls: calls.map(({ name, arguments: values }: Loose) => ({ name, arguments: JSON.stringify(values) })),
    end: last.done_reason,
  };
}

function openaiTold({ choices: [choice] }: Loose): Told {
  const { message } = choice;
  const calls = (message.tool_calls ?? []).map((call: Loose) => call.function);
  return {
    text: message.content ?? "",
    thinking: message.reasoning ?? message.reasoning_content ?? "",
    calls: calls.map((call: Loose) => ({ name: call.name, arguments: canonical(call.arguments) })),
    end: choice.finish_reason,
  };
}

/** The objects of a stream's `data` lines. */
function dataOf(reply: string): Loose[] {
  const lines = reply.split(/\r\n|\n/).filter((line) => line.startsWith("data:"));
  return lines
    .map((line) => line.slice(5).trim())
    .filter((data) => data !== "[DONE]")
    .map(objectOf);
}

function openaiStreamTold(reply: string): Told {
  assert.match(reply, /data: \[DONE\]\n\n$/);
  const choices = dataOf(reply).flatMap(({ choices: list }) => list ?? []);
  const message: Loose = { content: "", reasoning: "", tool_calls: [] };
  for (const { delta } of choices) {
    message.content += delta.content ?? "";
    message.reasoning += delta.reasoning ?? delta.reasoning_content ?? "";
    for (const { index, function: called } of delta.tool_calls ?? []) {
      const call = (message.tool_calls[index] ??= { function: { name: "", arguments: "" } });
      call.function.name += called.name ?? "";
      call.function.arguments += called.arguments ?? "";
    }
  }
  const ends = choices.map(({ finish_reason: reason }) => reason).filter((reason) => reason !== null);
  return openaiTold({ choices: [{ message, finish_reason: ends.at(-1) }] });
}

function responseTold(reply: string, stream: boolean): Told {
  const response = stream ? dataOf(reply).at(-1).response : objectOf(reply);
  if (stream) assertResponseEvents(dataOf(reply), response);
  const of = (type: string): Loose[] => response.output.filter((item: Loose) => item.type === type);
  const reason = response.incomplete_details?.reason;
  return {
    text: of("message")
      .map(({ content }) => content.map(({ text }: Loose) => text).join(""))
      .join(""),
    thinking: of("reasoning")
      .map(({ summary }) => summary.map(({ text }: Loose) => text).join(""))
      .join(""),
    calls: of("function_call").map((item) => ({ name: item.name, arguments: canonical(item.arguments) })),
    end: reason === undefined ? response.status : `${response.status} ${reason}`,
  };
}

/** The items that were told one by one are those of the end. */
function assertResponseEvents(events: readonly Loose[], response: Loose): void {
  const done = events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item);
  assert.deepEqual(done, response.output);
}

function anthropicTold({ content, stop_reason: end }: Loose): Told {
  const of = (type: string): Loose[] => content.filter((block: Loose) => block.type === type);
  return {
    text: of("text")
      .map(({ text }) => text)
      .join(""),
    thinking: of("thinking")
      .map(({ thinking }) => thinking)
      .join(""),
    calls: of("tool_use").map(({ name, input }) => ({ name, arguments: JSON.stringify(input) })),
    end,
  };
}

function anthropicStreamTold(reply: string): Told {
  const blocks: Loose[] = [];
  let end = "";
  for (const event of dataOf(reply)) {
    if (event.type === "content_block_start") blocks[event.index] = { ...event.content_block, json: "" };
    if (event.type === "message_delta") end = event.delta.stop_reason;
    if (event.type !== "content_block_delta") continue;
    const { text = "", thinking = "", partial_json: json = "" } = event.delta;
    const block = blocks[event.index];
    block.text = (block.text ?? "") + text;
    block.thinking = (block.thinking ?? "") + thinking;
    block.json += json;
  }
  assert.match(reply, /event: message_stop\n/);
  const told = anthropicTold({ content: blocks, stop_reason: end });
  const calls = blocks.filter(({ type }) => type === "tool_use");
  return {
    ...told,
    calls: calls.map(({ name, json }) => ({ name, arguments: json === "" ? "{}" : canonical(json) })),
  };
}
