import type { NeutralRequest, Part } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import { SseParser } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import type { Learned, ReplyReader } from "../protocol.ts";
import { MOST_TOLD, type ReplyForm, ReplyStart, formOf, plainText } from "../reply-form.ts";
import { gatherWhole } from "../whole.ts";
import { eventsIn, parseWhole, readEvent } from "./chunks.ts";
import { readEmbedReply } from "./embed-client.ts";
import { ReplySteps } from "./reply-steps.ts";

export interface ReaderOptions {
  readonly request: NeutralRequest;
  readonly stream: boolean;
}

/**
 * A reader of a chat completion, a text completion, embeddings or llama.cpp's infill reply, in one piece or as events,
 * whatever was asked for.
 */
export function openReader({ request }: ReaderOptions): ReplyReader {
  if (request.kind === "embed") return new WholeReader((reply) => readEmbedReply(reply, request));
  return new EitherReader(new ReplySteps(request));
}

/** Holds the first bytes back until they tell the form of the reply. */
class EitherReader implements ReplyReader {
  readonly #steps: ReplySteps;
  readonly #start = new ReplyStart();
  #reader: ReplyReader | undefined;
  /** The first bytes: they tell why a reply that is none of both is no answer. */
  #beginning: Buffer = Buffer.alloc(0);

  constructor(steps: ReplySteps) {
    this.#steps = steps;
  }

  push(chunk: Buffer): Iterable<Part> {
    // Blanks and a byte order mark before the first byte belong to neither form.
    const bytes = this.#reader === undefined ? this.#start.push(chunk) : chunk;
    if (bytes.length === 0) return [];
    if (this.#beginning.length < MOST_TOLD) {
      this.#beginning = Buffer.concat([this.#beginning, bytes.subarray(0, MOST_TOLD)]);
    }
    this.#reader ??= this.#open(formOf(bytes));
    return this.#reader.push(bytes);
  }

  end(): Iterable<Part> {
    this.#reader ??= this.#open(undefined);
    this.#steps.beginsWith(plainText(this.#beginning));
    return this.#reader.end();
  }

  get learned(): Learned | undefined {
    const { thoughts } = this.#steps;
    return thoughts === undefined ? undefined : { thoughts };
  }

  #open(form: ReplyForm | undefined): ReplyReader {
    const steps = this.#steps;
    if (form !== "json") return new StreamReader(steps);
    return new WholeReader((reply) => [...steps.read(reply), ...steps.close("whole")]);
  }
}

/** Reads server-sent events. */
class StreamReader implements ReplyReader {
  readonly #parser = new SseParser();
  readonly #steps: ReplySteps;

  constructor(steps: ReplySteps) {
    this.#steps = steps;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const event of eachOf(this.#parser.push(chunk))) yield* this.#read(event);
  }

  *end(): Generator<Part, void, void> {
    for (const event of eachOf(this.#parser.end())) yield* this.#read(event);
    yield* this.#steps.close("broken off");
  }

  #read(event: SseEvent): Part[] {
    if (this.#steps.closed) return [];
    const said = readEvent(event);
    if (said === "done") return this.#steps.close("done");
    return typeof said === "string" ? this.#steps.noise(said) : this.#steps.read(said);
  }
}

/** The events, each by itself: nearly always they are so already. */
function eachOf(events: readonly SseEvent[]): readonly SseEvent[] {
  return events.some(({ data }) => data.includes("\n")) ? events.flatMap(eventsIn) : events;
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
    return this.#read(parseWhole(this.#body.peek().toString("utf8")));
  }
}
