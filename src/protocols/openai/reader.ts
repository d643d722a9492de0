import type { EndReason, NeutralRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { Timings, Usage } from "../../core/usage.ts";
import { SseParser } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import type { ReplyReader } from "../protocol.ts";
import { gatherWhole } from "../whole.ts";
import { readEmbedReply } from "./embed-client.ts";
import { embeddedFault } from "./errors.ts";
import { isObjectText } from "./messages.ts";
import { readLogprobs, readTimings, readUsage } from "./metrics.ts";

export interface ReaderOptions {
  readonly request: NeutralRequest;
  readonly stream: boolean;
}

/** A reader of a chat completion, a text completion, embeddings or llama.cpp's infill reply. */
export function openReader(options: ReaderOptions): ReplyReader {
  const { request } = options;
  if (request.kind === "embed") return new WholeReader((reply) => readEmbedReply(reply, request));
  const steps = new ReplySteps(request.kind === "load" ? 0 : (request.logprobs?.top ?? 0));
  if (options.stream) return new StreamReader(steps);
  return new WholeReader((reply) => [...steps.read(reply, "whole"), ...steps.close()]);
}

/** The JSON of a reply. Throws `backend_lost` for what is none: replies that broke off look like that. */
export function parseReply(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Fault("backend_lost", "the backend's reply is not JSON", { cause: error });
  }
  if (isObject(value)) return value;
  throw new Fault("backend_lost", "the backend's reply is not a JSON object");
}

/** True for `{"error":…}` and for the older `{"object":"error",…}`. */
export function isErrorReply(reply: JsonObject): boolean {
  return (reply["error"] ?? undefined) !== undefined || reply["object"] === "error";
}

/** Reads server-sent events. */
class StreamReader implements ReplyReader {
  readonly #parser = new SseParser();
  readonly #steps: ReplySteps;

  constructor(steps: ReplySteps) {
    this.#steps = steps;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const event of this.#parser.push(chunk)) {
      yield* this.#read(event);
      if (this.#steps.ready) yield* this.#steps.close();
    }
  }

  *end(): Generator<Part, void, void> {
    for (const event of this.#parser.end()) yield* this.#read(event);
    yield* this.#steps.close();
  }

  #read({ event, data }: SseEvent): Part[] {
    if (data === "[DONE]") return this.#steps.close();
    const reply = parseReply(data);
    if (event === "error" || isErrorReply(reply)) throw embeddedFault(reply);
    return this.#steps.read(reply, "stream");
  }
}

/** Gathers the whole reply: nothing of it can be used before its end. */
class WholeReader implements ReplyReader {
  readonly #read: (reply: JsonObject) => Part[];
  readonly #body = gatherWhole();

  /** @param read the parts of the complete reply, its end among them */
  constructor(read: (reply: JsonObject) => Part[]) {
    this.#read = read;
  }

  push(chunk: Buffer): Part[] {
    this.#body.add(chunk);
    return [];
  }

  end(): Part[] {
    const reply = parseReply(this.#body.peek().toString("utf8"));
    if (isErrorReply(reply)) throw embeddedFault(reply);
    return this.#read(reply);
  }
}

interface OpenCall {
  readonly index: number;
  arguments: string;
}

/** Turns reply objects, whole or chunk by chunk, into parts. The end waits for the token counts. */
class ReplySteps {
  readonly #top: number;
  readonly #calls = new Map<number, OpenCall>();
  #deltas = 0;
  #reason: EndReason | undefined;
  /** vLLM's `stop_reason`: the stop string that came, or a token's number. */
  #stopText = "";
  #usage: Usage | undefined;
  #timings: Timings | undefined;
  #ready = false;
  #closed = false;

  /** @param top alternatives per token that were asked for */
  constructor(top: number) {
    this.#top = top;
  }

  /** True when all that belongs to the end has come. */
  get ready(): boolean {
    return this.#ready;
  }

  /** The parts of one reply object, without those of the end. */
  read(reply: JsonObject, form: "stream" | "whole"): Part[] {
    if (this.#closed) return [];
    const list = reply["choices"];
    const choice = Array.isArray(list) ? list.find(isFirstChoice) : infillChoice(reply);
    const parts = isObject(choice) ? this.#readChoice(choice, form) : [];
    const usage = readUsage(reply);
    this.#usage = usage ?? this.#usage;
    this.#timings = readTimings(reply) ?? this.#timings;
    this.#ready = this.#reason !== undefined && isObject(reply["usage"]);
    return parts;
  }

  /** The last parts. Throws `backend_lost` when no finish reason has come. Does nothing the second time. */
  close(): Part[] {
    if (this.#closed) return [];
    if (this.#reason === undefined) {
      throw new Fault("backend_lost", "the backend's reply ended before it was complete", {
        blame: "backend",
      });
    }
    this.#closed = true;
    const timings = this.#timings === undefined ? {} : { timings: this.#timings };
    const stop = this.#stopText === "" ? {} : { stopText: this.#stopText };
    const usage = this.#usage ?? { promptTokens: 0, completionTokens: this.#deltas };
    return [...this.#closeCalls(), { type: "end", reason: this.#reason, usage, ...stop, ...timings }];
  }

  #readChoice(choice: JsonObject, form: "stream" | "whole"): Part[] {
    const message = choice["delta"] ?? choice["message"] ?? { content: choice["text"] ?? null };
    const parts: Part[] = [];
    if (isObject(message)) {
      const thinking = textOf(message["reasoning"]) || textOf(message["reasoning_content"]);
      if (thinking !== "") parts.push({ type: "thinking-delta", text: thinking });
      parts.push(...this.#readText(message, choice["logprobs"]), ...this.#readCalls(message));
    }
    if (parts.length > 0) this.#deltas++;
    const finish = choice["finish_reason"] ?? (form === "whole" ? "stop" : undefined);
    if (finish !== undefined) this.#reason = reasonOf(finish);
    this.#stopText ||= textOf(choice["stop_reason"]);
    return parts;
  }

  #readText(message: JsonObject, chances: Json | undefined): Part[] {
    const said = textOf(message["content"]) + textOf(message["refusal"]);
    const logprobs = readLogprobs(chances, this.#top);
    if (logprobs !== undefined) return [{ type: "text-delta", text: said, logprobs }];
    return said === "" ? [] : [{ type: "text-delta", text: said }];
  }

  #readCalls(message: JsonObject): Part[] {
    const list = message["tool_calls"];
    const calls = Array.isArray(list) ? list : [];
    const legacy = message["function_call"];
    const all = isObject(legacy) ? [...calls, { index: 0, function: legacy }] : calls;
    return all.filter((call) => isObject(call)).map((call) => this.#readCall(call));
  }

  #readCall(call: JsonObject): Part {
    const called = isObject(call["function"]) ? call["function"] : {};
    const index = this.#indexOf(call);
    const written = argumentsText(called["arguments"]);
    const open = this.#calls.get(index);
    if (open !== undefined) {
      open.arguments += written;
      return { type: "tool-delta", index, arguments: written };
    }
    this.#calls.set(index, { index, arguments: written });
    const id = textOf(call["id"]);
    const name = textOf(called["name"]);
    return { type: "tool-delta", index, id: id === "" ? `call_${index}` : id, name, arguments: written };
  }

  /** A call without an index is a new one when it has a name, else it goes on with the last one. */
  #indexOf(call: JsonObject): number {
    const index = call["index"];
    if (typeof index === "number") return index;
    const isNew = isObject(call["function"]) && textOf(call["function"]["name"]) !== "";
    return isNew || this.#calls.size === 0 ? this.#calls.size : this.#calls.size - 1;
  }

  /** A call without arguments gets an empty object; arguments that are no object are a broken reply. */
  #closeCalls(): Part[] {
    const parts: Part[] = [];
    for (const call of this.#calls.values()) {
      if (call.arguments.trim() === "") {
        parts.push({ type: "tool-delta", index: call.index, arguments: "{}" });
      } else if (!isObjectText(call.arguments)) {
        throw new Fault("backend_lost", "the backend's tool call has arguments that are not a JSON object");
      }
    }
    return parts;
  }
}

function isFirstChoice(choice: Json): boolean {
  return isObject(choice) && (choice["index"] ?? 0) === 0;
}

/** llama.cpp's own reply form, which /infill has only: `{"content","stop","stop_type",…}`. */
function infillChoice(reply: JsonObject): JsonObject | undefined {
  if (typeof reply["content"] !== "string") return undefined;
  const finish = reply["stop"] === true ? (reply["stop_type"] === "limit" ? "length" : "stop") : null;
  return { text: reply["content"], finish_reason: finish };
}

function textOf(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** Arguments are a text; some backends send the object itself. */
function argumentsText(value: Json | undefined): string {
  return isObject(value) ? JSON.stringify(value) : textOf(value);
}

/** The neutral form of a `finish_reason`. Throws `backend_lost` for the reasons that stand for a failure. */
export function reasonOf(finish: Json): EndReason {
  switch (textOf(finish)) {
    case "length":
      return "length";
    case "tool_calls":
    case "function_call":
      return "tool-calls";
    case "content_filter":
      return "content-filter";
    case "abort":
    case "error":
      throw new Fault("backend_lost", `the backend gave up the answer: ${textOf(finish)}`, {
        blame: "model",
      });
    default:
      return "stop";
  }
}
