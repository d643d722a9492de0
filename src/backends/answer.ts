import type { End, NeutralRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { Task } from "../core/task.ts";
import { type Timings, UsageTally } from "../core/usage.ts";
import { serverCodec } from "../protocols/dialects.ts";
import { reportableNames } from "../protocols/dropped-fields.ts";
import { parseLosslessArguments } from "../protocols/lossless-json.ts";
import type { ReplyWriter, ServerCodec } from "../protocols/codec.ts";
import { MAX_REPLY_BYTES, replyTooLarge } from "../protocols/reply-limits.ts";
import type { Answer, ReplySink } from "./backend.ts";
import { choicesOf, choicesPerPrompt } from "./choices.ts";

/** A task, read for a backend that does not speak the client's dialect. */
export interface ParsedTask {
  readonly task: Task;
  readonly endpoint: ServerCodec;
  readonly body: JsonObject;
  readonly request: NeutralRequest;
}

/** Reads a task's body into the neutral request. Throws `bad_json`, or what the dialect says of a bad request. */
export function parseTask(task: Task): ParsedTask {
  const endpoint = serverCodec(task.endpoint);
  const body = parseBody(task.body);
  return { task, endpoint, body, request: endpoint.decode(body) };
}

function parseBody(bytes: Buffer): JsonObject {
  let body: Json;
  try {
    body = parseLosslessArguments(bytes.toString());
  } catch (error) {
    throw new Fault("bad_json", "the request body is not valid JSON", { cause: error });
  }
  if (!isObject(body)) throw new Fault("bad_json", "the request body is not a JSON object");
  return body;
}

/** Delays the head of a reply until its first bytes: an error before them still gets its own HTTP status. */
export class DeferredHeadSink {
  readonly #sink: ReplySink;
  readonly #dropped: readonly string[];
  #begun = false;

  /** @param dropped the client's fields that were left out; they are reported with the head */
  constructor(sink: ReplySink, dropped: readonly string[] = []) {
    this.#sink = sink;
    this.#dropped = reportableNames(dropped);
  }

  /**
   * Passes bytes on; an empty buffer does nothing. Only the first call uses `contentType`. Throws `invalid_request` for a
   * piece that is too large.
   */
  write(bytes: Buffer, contentType: string): void {
    if (bytes.length === 0) return;
    if (bytes.length > MAX_REPLY_BYTES) throw replyTooLarge();
    if (!this.#begun) {
      this.#begun = true;
      this.#sink.head(200, contentType, this.#dropped);
    }
    this.#sink.write(bytes);
  }

  /** The answer is complete. An answer without bytes, such as the transcription of silence, still gets its head. */
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
  readonly #output: DeferredHeadSink;
  readonly #tally: UsageTally;
  readonly #choices: number;
  #open: number;
  #timings: Timings | undefined;

  constructor({ task, endpoint, body, request }: ParsedTask, sink: ReplySink, options: AnswerOptions = {}) {
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
    this.#output = new DeferredHeadSink(sink, dropped);
  }

  /**
   * Writes parts of a choice that came together; they leave together. Throws a Fault for a part that cannot be written, and
   * what the iterator throws. The parts before the failed one are written in both cases.
   */
  write(parts: Iterable<Part>, choice = 0): void {
    let text = "";
    try {
      for (const part of parts) {
        text += this.#writer.write(part, choice);
        if (part.type === "end") this.#end(part, choice);
      }
    } finally {
      if (text !== "") this.#output.write(Buffer.from(text), this.#writer.contentType);
    }
  }

  #end({ usage, timings }: End, choice: number): void {
    this.#open -= 1;
    this.#tally.add(usage, choice);
    // Parallel runs have no common durations.
    if (this.#choices === 1) this.#timings = timings;
  }

  /** The usage and timings of the answer. Throws `backend_lost` when an end part has not been written. */
  finish(): Answer {
    if (this.#open > 0) {
      throw new Fault("backend_lost", "the backend's reply ended before its end", { blame: "backend" });
    }
    const usage = this.#tally.total;
    return this.#timings === undefined ? { usage } : { usage, timings: this.#timings };
  }
}

/** Answers a count of tokens. The model did not run, so there is no usage. */
export function answerCount(writer: AnswerWriter, tokens: number): Answer {
  writer.write([{ type: "end", reason: "stop", usage: { promptTokens: tokens, completionTokens: 0 } }]);
  return { usage: undefined };
}
