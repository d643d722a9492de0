import type { ChatRequest, End, NeutralRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { Task } from "../core/task.ts";
import { type Timings, UsageTally } from "../core/usage.ts";
import { serverEndpoint } from "../protocols/catalogue.ts";
import { toldNames } from "../protocols/dropped.ts";
import { parseKeepingArguments } from "../protocols/exact.ts";
import type { ReplyWriter, ServerEndpoint } from "../protocols/protocol.ts";
import { MOST_REPLY_BYTES, replyTooLarge } from "../protocols/whole.ts";
import type { Answer, ReplySink } from "./backend.ts";
import { choicesOf, choicesPerPrompt } from "./choices.ts";

/** A task read for a backend that does not speak its client's dialect. */
export interface OpenedTask {
  readonly task: Task;
  readonly endpoint: ServerEndpoint;
  readonly body: JsonObject;
  readonly request: NeutralRequest;
}

/** Reads a task's body into the neutral request. Throws `bad_json`, or what the dialect says of a bad request. */
export function openTask(task: Task): OpenedTask {
  const endpoint = serverEndpoint(task.endpoint);
  const body = parseBody(task.body);
  return { task, endpoint, body, request: endpoint.decode(body) };
}

function parseBody(bytes: Buffer): JsonObject {
  let body: Json;
  try {
    body = parseKeepingArguments(bytes.toString());
  } catch (error) {
    throw new Fault("bad_json", "the request body is not valid JSON", { cause: error });
  }
  if (!isObject(body)) throw new Fault("bad_json", "the request body is not a JSON object");
  return body;
}

/**
 * Holds the head of a reply back until its first bytes exist: an error before them can still be told with its
 * own status.
 */
export class Outlet {
  readonly #sink: ReplySink;
  readonly #dropped: readonly string[];
  #begun = false;

  /** @param dropped the client's fields that were left out, told with the head */
  constructor(sink: ReplySink, dropped: readonly string[] = []) {
    this.#sink = sink;
    this.#dropped = toldNames(dropped);
  }

  /**
   * Passes the bytes on; an empty buffer does nothing. `contentType` counts with the first bytes only. Throws
   * `invalid_request` for a reply that is too large in one piece.
   */
  write(bytes: Buffer, contentType: string): void {
    if (bytes.length === 0) return;
    if (bytes.length > MOST_REPLY_BYTES) throw replyTooLarge();
    if (!this.#begun) {
      this.#begun = true;
      this.#sink.head(200, contentType, this.#dropped);
    }
    this.#sink.write(bytes);
  }

  /** The answer is whole: where it has no bytes, such as the text of silence, its head is still told. */
  end(contentType: string): void {
    if (!this.#begun) this.#sink.head(200, contentType, this.#dropped);
    this.#begun = true;
  }
}

export interface AnswerOptions {
  /** Wall clock, ms since 1970. */
  readonly now?: () => number;
  /** The client's fields that were left out for the backend. */
  readonly dropped?: readonly string[];
}

/** Writes the parts of a reply to the client in the client's dialect. One per run of a task. */
export class AnswerWriter {
  readonly #writer: ReplyWriter;
  readonly #outlet: Outlet;
  readonly #tally: UsageTally;
  readonly #choices: number;
  #open: number;
  #timings: Timings | undefined;

  constructor({ task, endpoint, body, request }: OpenedTask, sink: ReplySink, options: AnswerOptions = {}) {
    const { now = Date.now, dropped } = options;
    const perPrompt = choicesPerPrompt(request);
    this.#choices = choicesOf(request);
    this.#open = this.#choices;
    this.#tally = new UsageTally(perPrompt);
    this.#writer = endpoint.reply({
      model: task.model,
      stream: task.stream,
      id: task.id,
      now,
      startedAt: task.createdAt,
      body,
      choices: this.#choices,
      perPrompt,
    });
    this.#outlet = new Outlet(sink, dropped);
  }

  /**
   * Writes parts of a choice that came together: they leave together. Throws a Fault for parts that cannot be written,
   * and what the parts themselves throw, in both cases after those before.
   */
  write(parts: Iterable<Part>, choice = 0): void {
    let text = "";
    try {
      for (const part of parts) {
        text += this.#writer.write(part, choice);
        if (part.type === "end") this.#end(part, choice);
      }
    } finally {
      if (text !== "") this.#outlet.write(Buffer.from(text), this.#writer.contentType);
    }
  }

  #end({ usage, timings }: End, choice: number): void {
    this.#open -= 1;
    this.#tally.add(usage, choice);
    // Runs beside each other have no common durations.
    if (this.#choices === 1) this.#timings = timings;
  }

  /** What is known of the answer. Throws `backend_lost` when an end part has not been written. */
  finish(): Answer {
    if (this.#open > 0) {
      throw new Fault("backend_lost", "the backend's reply ended before its end", { blame: "backend" });
    }
    const usage = this.#tally.total;
    return this.#timings === undefined ? { usage } : { usage, timings: this.#timings };
  }
}

/** Answers a count of tokens. The model did nothing for it, so nothing was used. */
export function answerCount(writer: AnswerWriter, tokens: number): Answer {
  writer.write([{ type: "end", reason: "stop", usage: { promptTokens: tokens, completionTokens: 0 } }]);
  return { usage: undefined };
}

/** The chat without its wish to think. */
export function withoutThinking({ think: _think, thinkIfAble: _wish, ...rest }: ChatRequest): ChatRequest {
  return rest;
}
