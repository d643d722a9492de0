import { toFault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import { ProgressMerger } from "../protocols/ollama/progress.ts";
import { LineSplitter } from "../wire/lines.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import type { Headers, HttpReply } from "./http.ts";

const NDJSON = "application/x-ndjson";
const JSON_TYPE = "application/json";

/** Characters of steps that wait for a client that does not read; later ones are left out. */
const MOST_HELD = 65_536;

export interface ProgressReplyOptions {
  readonly reply: HttpReply;
  /** Those of the request. */
  readonly ids: Headers;
  readonly stream: boolean;
  /** Of the servers. */
  readonly names: readonly string[];
  /** Steps that are told before the first one. */
  readonly before?: readonly string[];
}

/**
 * Tells a client the progress of an order that several servers carry out. The status is held back until the first
 * line. While the client's socket is full, amounts are left out: the next ones say more.
 */
export class ProgressReply {
  readonly #reply: HttpReply;
  readonly #ids: Headers;
  readonly #stream: boolean;
  readonly #merger: ProgressMerger;
  readonly #splitters: readonly LineSplitter[];
  /** Servers whose reply is complete, or cannot be read any further. */
  readonly #over = new Set<number>();
  #started = false;
  #full = false;
  /** Steps that wait for room. */
  #held = "";
  /** Lines that precede the first. */
  #before: string;

  constructor(options: ProgressReplyOptions) {
    this.#reply = options.reply;
    this.#ids = options.ids;
    this.#stream = options.stream;
    this.#merger = new ProgressMerger(options.names);
    this.#before = (options.before ?? []).map((status) => `${JSON.stringify({ status })}\n`).join("");
    this.#splitters = options.names.map(() => new LineSplitter());
    this.#reply.onDrain(() => {
      this.#full = false;
      const held = this.#held;
      this.#held = "";
      if (held !== "") this.#write(held);
    });
  }

  /** Bytes of one server's reply. */
  bytes(index: number, bytes: Buffer): void {
    if (this.#over.has(index)) return;
    for (const line of this.#split(index, bytes)) {
      const step = this.#merger.line(index, line.toString());
      if (step !== undefined && this.#stream) this.#tell(step);
    }
  }

  /** A server that sends an endless line is done with. */
  #split(index: number, bytes: Buffer): readonly Buffer[] {
    try {
      return this.#splitters[index]?.push(bytes) ?? [];
    } catch (error) {
      const body = Buffer.from(JSON.stringify({ error: toFault(error).message }));
      this.ended(index, { status: 502, contentType: JSON_TYPE, body });
      return [];
    }
  }

  /** One server's reply is complete. Only the first call for a server counts. */
  ended(index: number, { status, body }: ErrandAnswer): void {
    if (this.#over.has(index)) return;
    this.#over.add(index);
    const rest = body.length > 0 ? body : this.#splitters[index]?.rest();
    const end = this.#merger.end(index, { status, rest: rest?.toString() ?? "" });
    if (end === undefined) {
      const step = this.#merger.ended(index);
      if (step !== undefined && this.#stream) this.#tell(step);
      return;
    }
    const last = JSON.stringify(end.error === undefined ? { status: "success" } : { error: end.error });
    if (this.#started) this.#reply.end(Buffer.from(`${this.#held}${last}\n`));
    else if (this.#stream && end.error === undefined)
      this.#reply.send(200, this.#headers(NDJSON), `${this.#before}${last}\n`);
    else this.#reply.send(end.status, this.#headers(JSON_TYPE), last);
  }

  #headers(type: string): Headers {
    return [["content-type", type], ...this.#ids];
  }

  #tell(step: JsonObject): void {
    const line = `${this.#before}${JSON.stringify(step)}\n`;
    this.#before = "";
    if (!this.#full) this.#write(line);
    else if (step["digest"] === undefined && this.#held.length < MOST_HELD) this.#held += line;
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    const hasRoom = this.#started
      ? this.#reply.write(bytes)
      : this.#reply.start(200, this.#headers(NDJSON), bytes);
    this.#started = true;
    this.#full = !hasRoom;
  }
}
