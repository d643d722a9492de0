import { toFault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import { ProgressMerger } from "../../protocols/ollama/progress-merger.ts";
import { LineSplitter } from "../../wire/lines.ts";
import type { ManagementAnswer } from "./management-reply.ts";
import type { Headers, HttpReply } from "../http/http.ts";

const NDJSON = "application/x-ndjson";
const JSON_TYPE = "application/json";

/** Most text that waits for a client that does not read (characters); later steps are left out. */
const MOST_HELD = 65_536;

export interface ProgressReplyOptions {
  readonly reply: HttpReply;
  /** Id headers of the request. */
  readonly ids: Headers;
  readonly stream: boolean;
  /** Names of the servers. */
  readonly names: readonly string[];
  /** Steps to report before the first one. */
  readonly before?: readonly string[];
}

/**
 * Reports to a client the progress of an order that several servers carry out. The status waits for the first line.
 * While the client's socket is full, amounts are left out: later ones replace them.
 */
export class ProgressReply {
  readonly #reply: HttpReply;
  readonly #ids: Headers;
  readonly #stream: boolean;
  readonly #merger: ProgressMerger;
  readonly #splitters: readonly LineSplitter[];
  /** Servers whose reply is complete, or cannot be parsed further. */
  readonly #complete = new Set<number>();
  #started = false;
  #full = false;
  /** Steps that wait for room. */
  #waiting = "";
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
      const waiting = this.#waiting;
      this.#waiting = "";
      if (waiting !== "") this.#write(waiting);
    });
  }

  /** Takes bytes of one server's reply. */
  bytes(index: number, bytes: Buffer): void {
    if (this.#complete.has(index)) return;
    for (const line of this.#split(index, bytes)) {
      const step = this.#merger.line(index, line.toString());
      if (step !== undefined && this.#stream) this.#report(step);
    }
  }

  /** Splits lines; a server that sends an endless line fails. */
  #split(index: number, bytes: Buffer): readonly Buffer[] {
    try {
      return this.#splitters[index]?.push(bytes) ?? [];
    } catch (error) {
      const body = Buffer.from(JSON.stringify({ error: toFault(error).message }));
      this.ended(index, { status: 502, contentType: JSON_TYPE, body });
      return [];
    }
  }

  /** Takes the end of one server's reply. Only the first call for a server counts. */
  ended(index: number, { status, body }: ManagementAnswer): void {
    if (this.#complete.has(index)) return;
    this.#complete.add(index);
    const rest = body.length > 0 ? body : this.#splitters[index]?.rest();
    const end = this.#merger.end(index, { status, rest: rest?.toString() ?? "" });
    if (end === undefined) {
      const step = this.#merger.ended(index);
      if (step !== undefined && this.#stream) this.#report(step);
      return;
    }
    const last = JSON.stringify(end.error === undefined ? { status: "success" } : { error: end.error });
    if (this.#started) this.#reply.end(Buffer.from(`${this.#waiting}${last}\n`));
    else if (this.#stream && end.error === undefined)
      this.#reply.send(200, this.#headers(NDJSON), `${this.#before}${last}\n`);
    else this.#reply.send(end.status, this.#headers(JSON_TYPE), last);
  }

  #headers(type: string): Headers {
    return [["content-type", type], ...this.#ids];
  }

  #report(step: JsonObject): void {
    const line = `${this.#before}${JSON.stringify(step)}\n`;
    this.#before = "";
    if (!this.#full) this.#write(line);
    else if (step["digest"] === undefined && this.#waiting.length < MOST_HELD) this.#waiting += line;
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
