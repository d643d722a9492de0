import type { NeutralRequest, Part } from "../../core/chat.ts";
import type { JsonObject } from "../../core/json.ts";
import { SseParser } from "../../wire/sse.ts";
import type { SseEvent } from "../../wire/sse.ts";
import type { Learned, ReplyReader } from "../codec.ts";
import {
  MAX_EXCERPT_BYTES,
  type ReplyFormat,
  LeadingBlanks,
  sniffFormat,
  plainExcerpt,
} from "../reply-format.ts";
import { replyBuffer } from "../reply-limits.ts";
import { eventsIn, parseCompleteReply, readEvent } from "./chunks.ts";
import { readEmbedReply } from "./embed-client.ts";
import { ReplyDecoder } from "./reply-decoder.ts";

interface ReaderOptions {
  readonly request: NeutralRequest;
  readonly stream: boolean;
}

/**
 * A reader of chat completions, text completions, embeddings and llama.cpp's infill replies. It accepts one object or
 * events, whichever was requested.
 */
export function openReader({ request }: ReaderOptions): ReplyReader {
  if (request.kind === "embed") return new WholeReader((reply) => readEmbedReply(reply, request));
  return new EitherReader(new ReplyDecoder(request));
}

/** Detects the format of a reply by its first bytes. */
class EitherReader implements ReplyReader {
  readonly #decoder: ReplyDecoder;
  readonly #start = new LeadingBlanks();
  #reader: ReplyReader | undefined;
  /** The first bytes, for the fault of a reply in neither format. */
  #beginning: Buffer = Buffer.alloc(0);

  constructor(decoder: ReplyDecoder) {
    this.#decoder = decoder;
  }

  push(chunk: Buffer): Iterable<Part> {
    // Skip blanks and a byte order mark before the reply.
    const bytes = this.#reader === undefined ? this.#start.push(chunk) : chunk;
    if (bytes.length === 0) return [];
    if (this.#beginning.length < MAX_EXCERPT_BYTES) {
      this.#beginning = Buffer.concat([this.#beginning, bytes.subarray(0, MAX_EXCERPT_BYTES)]);
    }
    this.#reader ??= this.#open(sniffFormat(bytes));
    return this.#reader.push(bytes);
  }

  end(): Iterable<Part> {
    this.#reader ??= this.#open(undefined);
    this.#decoder.beginsWith(plainExcerpt(this.#beginning));
    return this.#reader.end();
  }

  get learned(): Learned | undefined {
    const { thoughts } = this.#decoder;
    return thoughts === undefined ? undefined : { thoughts };
  }

  #open(form: ReplyFormat | undefined): ReplyReader {
    const decoder = this.#decoder;
    if (form !== "json") return new StreamReader(decoder);
    return new WholeReader((reply) => [...decoder.read(reply), ...decoder.close("whole")]);
  }
}

/** Reads server-sent events. */
class StreamReader implements ReplyReader {
  readonly #parser = new SseParser();
  readonly #decoder: ReplyDecoder;

  constructor(decoder: ReplyDecoder) {
    this.#decoder = decoder;
  }

  *push(chunk: Buffer): Generator<Part, void, void> {
    for (const event of eachOf(this.#parser.push(chunk))) yield* this.#read(event);
  }

  *end(): Generator<Part, void, void> {
    for (const event of eachOf(this.#parser.end())) yield* this.#read(event);
    yield* this.#decoder.close("broken off");
  }

  #read(event: SseEvent): Part[] {
    if (this.#decoder.closed) return [];
    const content = readEvent(event);
    if (content === "done") return this.#decoder.close("done");
    return typeof content === "string" ? this.#decoder.noise(content) : this.#decoder.read(content);
  }
}

/** Splits events that hold several. Nearly always there is nothing to split. */
function eachOf(events: readonly SseEvent[]): readonly SseEvent[] {
  return events.some(({ data }) => data.includes("\n")) ? events.flatMap(eventsIn) : events;
}

/** Gathers a whole reply, which is unusable before its end. */
class WholeReader implements ReplyReader {
  readonly #read: (reply: JsonObject) => Part[];
  readonly #body = replyBuffer();

  /** @param read returns the parts of the complete reply, with its end */
  constructor(read: (reply: JsonObject) => Part[]) {
    this.#read = read;
  }

  push(chunk: Buffer): Part[] {
    this.#body.add(chunk);
    return [];
  }

  end(): Part[] {
    return this.#read(parseCompleteReply(this.#body.peek().toString("utf8")));
  }
}
