import { toFault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import { ProgressMerger } from "../protocols/ollama/progress.ts";
import { LineSplitter } from "../wire/lines.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import type { HttpReply } from "./http.ts";

const NDJSON = "application/x-ndjson";
const JSON_TYPE = "application/json";

/**
 * Tells a client the progress of an order that several servers carry out. The status is held back until the first
 * line. While the client's socket is full, amounts are left out: the next ones say more.
 */
export class ProgressReply {
  readonly #reply: HttpReply;
  readonly #stream: boolean;
  readonly #merger: ProgressMerger;
  readonly #splitters: readonly LineSplitter[];
  #started = false;
  #full = false;
  /** Steps that wait for room. */
  #held = "";

  constructor(options: { reply: HttpReply; stream: boolean; names: readonly string[] }) {
    this.#reply = options.reply;
    this.#stream = options.stream;
    this.#merger = new ProgressMerger(options.names);
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

  /** One server's reply is complete. */
  ended(index: number, { status, body }: ErrandAnswer): void {
    const rest = body.length > 0 ? body : this.#splitters[index]?.rest();
    const end = this.#merger.end(index, { status, rest: rest?.toString() ?? "" });
    if (end === undefined) return;
    const last = JSON.stringify(end.error === undefined ? { status: "success" } : { error: end.error });
    if (this.#started) this.#reply.end(Buffer.from(`${this.#held}${last}\n`));
    else if (this.#stream && end.error === undefined)
      this.#reply.send(200, [["content-type", NDJSON]], `${last}\n`);
    else this.#reply.send(end.status, [["content-type", JSON_TYPE]], last);
  }

  #tell(step: JsonObject): void {
    const line = `${JSON.stringify(step)}\n`;
    if (!this.#full) this.#write(line);
    else if (step["digest"] === undefined) this.#held += line;
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    const hasRoom = this.#started
      ? this.#reply.write(bytes)
      : this.#reply.start(200, [["content-type", NDJSON]], bytes);
    this.#started = true;
    this.#full = !hasRoom;
  }
}
