import type { JsonObject } from "../../core/json.ts";
import type { Usage } from "../../core/usage.ts";
import { SseParser } from "../../wire/sse.ts";
import type { Relay } from "../codec.ts";
import { readFinishReason } from "../finish-reason.ts";
import {
  MAX_EXCERPT_BYTES,
  plainExcerpt,
  type ReplyFormat,
  sniffFormat,
  withoutBomBytes,
} from "../reply-format.ts";
import { replyBuffer } from "../reply-limits.ts";
import { choicesIn, eventsIn, parseCompleteReply, readEvent, truncatedReply } from "./chunks.ts";
import { ModelRewriter } from "./model-rewriter.ts";
import { ChunkMerger } from "./reply-conversion.ts";
import { readUsage } from "./reply-metrics.ts";

const NOTHING: Buffer = Buffer.alloc(0);

/** Writes a whole reply for a client. Absent: the bytes stay. */
type WriteReply = (reply: JsonObject) => string;

/** Holds a reply of one object until it is complete, so that a truncated reply never looks like an answer. */
export class ObjectRelay implements Relay {
  readonly #asked: string;
  readonly #check: CheckReply;
  readonly #write: WriteReply | undefined;
  readonly #body = replyBuffer();
  #form: ReplyFormat | undefined;
  #usage: Usage | undefined;

  /** @param asked the model as the client wrote it */
  constructor(asked: string, check: CheckReply, write?: WriteReply) {
    this.#asked = asked;
    this.#check = check;
    this.#write = write;
  }

  get usage(): Usage | undefined {
    return this.#usage;
  }

  get contentType(): string | undefined {
    return this.#form === "events" ? "application/json" : undefined;
  }

  push(chunk: Buffer): Buffer {
    this.#form ??= sniffFormat(chunk);
    this.#body.add(chunk);
    return NOTHING;
  }

  end(): Buffer {
    const bytes = this.#body.peek();
    const isStream = this.#form === "events";
    const reply = isStream ? gatherEvents(bytes) : parseCompleteReply(bytes.toString("utf8"));
    const changed = this.#check(reply) ?? (isStream ? reply : undefined);
    this.#usage = readUsage(reply);
    return new ModelRewriter(this.#asked).apply(this.#written(bytes, reply, changed));
  }

  #written(bytes: Buffer, reply: JsonObject, changed: JsonObject | undefined): Buffer {
    if (this.#write !== undefined) return Buffer.from(this.#write(changed ?? reply));
    return changed === undefined ? withoutBomBytes(bytes) : Buffer.from(JSON.stringify(changed));
  }
}

/** Merges a stream into one object. Throws the backend's fault, or `backend_lost` when the stream is incomplete. */
function gatherEvents(bytes: Buffer): JsonObject {
  const parser = new SseParser(Math.max(bytes.length, 1));
  const gatherer = new ChunkMerger();
  let isDone = false;
  let noise = plainExcerpt(bytes.subarray(0, MAX_EXCERPT_BYTES));
  for (const event of [...parser.push(bytes), ...parser.end()].flatMap(eventsIn)) {
    const content = readEvent(event);
    if (content === "done") isDone = true;
    else if (typeof content === "string") noise = content || noise;
    else if (!isDone) gatherer.add(content, choicesIn(content));
  }
  if (!gatherer.isComplete(isDone)) throw truncatedReply(noise);
  return gatherer.merged();
}

/**
 * Throws a Fault for a reply that is no complete answer. Returns a replacement for the reply, or undefined to keep
 * the bytes.
 */
type CheckReply = (reply: JsonObject) => JsonObject | undefined;

/** Checks a reply with choices. */
export function checkChoices(reply: JsonObject): undefined {
  const choices = choicesIn(reply);
  if (choices.length === 0) throw truncatedReply("");
  for (const choice of choices) readFinishReason(choice["finish_reason"]);
}
