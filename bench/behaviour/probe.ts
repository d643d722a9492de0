/** One request, observed as a client: the end of its reply, in a word. */
import net from "node:net";
import { chatRequest, postBytes } from "../cases.ts";
import type { LoadDialect } from "../cases.ts";
import type { Profile } from "../profiles.ts";
import { ResponseReader } from "../response-reader.ts";
import type { ResponseSink } from "../response-reader.ts";
import { epochMs } from "../sim-log.ts";
import { TokenScanner } from "../tokens.ts";

/**
 * `answered`: whole and in order; `status N`: refused; `error in the stream`: begun, then an error in the reply's
 * form; `broken connection`: closed within the reply; `cut, looks complete`: ended well without all tokens;
 * `wrong tokens`; `no end`: still open when the probe was given up; `left`: the client went.
 */
export type Outcome = string;

/** The request and its target. */
export interface ProbeOptions {
  readonly port: number;
  readonly dialect: LoadDialect;
  readonly profile: Profile;
  readonly stream: boolean;
  /** The first message: names the request to the backend. */
  readonly tag: string;
}

/** A client with one request. */
export class Probe implements ResponseSink {
  /** Resolves at the first token, or at the end without one. */
  readonly begun: Promise<void>;
  readonly done: Promise<Outcome>;
  readonly #scanner: TokenScanner;
  readonly #socket: net.Socket;
  readonly #begin: () => void;
  readonly #end: (outcome: Outcome) => void;
  #status = 0;
  #text = "";

  constructor(options: ProbeOptions) {
    const { port, dialect, profile, stream, tag } = options;
    const { path, body, endMark } = chatRequest(dialect, { model: profile.model, stream, text: tag });
    const [begun, done] = [Promise.withResolvers<void>(), Promise.withResolvers<Outcome>()];
    this.begun = begun.promise;
    this.done = done.promise;
    this.#begin = begun.resolve;
    this.#end = done.resolve;
    this.#scanner = new TokenScanner(profile.tokens, endMark);
    this.#socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    const reader = new ResponseReader(this);
    this.#socket.on("data", (bytes: Buffer) => {
      try {
        reader.feed(bytes, bytes.length);
      } catch {
        this.#over("broken connection");
      }
    });
    this.#socket.once("error", () => this.#over("broken connection"));
    this.#socket.once("close", () => this.#over("broken connection"));
    this.#socket.write(postBytes(port, path, body));
  }

  /** Tokens that came so far. */
  get tokens(): number {
    return this.#scanner.seen;
  }

  /** Hangs up; returns when, in ms since 1970. */
  leave(): number {
    const at = epochMs();
    this.#over("left");
    return at;
  }

  /** Stops waiting for an end. */
  giveUp(): void {
    this.#over("no end");
  }

  onHead(status: number): void {
    this.#status = status;
  }

  onBody(bytes: Uint8Array, start: number, end: number): void {
    this.#scanner.feed(bytes, start, end);
    if (this.#scanner.seen > 0) this.#begin();
    this.#text = `${this.#text}${Buffer.from(bytes.subarray(start, end)).toString("latin1")}`.slice(-2000);
  }

  onEnd(): void {
    this.#over(this.#outcome());
  }

  #outcome(): Outcome {
    if (this.#status !== 200) return `status ${this.#status}`;
    if (this.#scanner.whole) return "answered";
    if (this.#scanner.broken) return "wrong tokens";
    return this.#text.includes('"error"') ? "error in the stream" : "cut, looks complete";
  }

  #over(outcome: Outcome): void {
    this.#begin();
    this.#end(outcome);
    this.#socket.destroy();
  }
}

/** Ends all that are still open after `limitMs`; returns how many had each outcome, the most frequent first. */
export async function outcomes(probes: readonly Probe[], limitMs: number): Promise<string> {
  const limit = setTimeout(() => {
    for (const probe of probes) probe.giveUp();
  }, limitMs);
  const all = await Promise.all(probes.map((probe) => probe.done));
  clearTimeout(limit);
  const counts = new Map<Outcome, number>();
  for (const outcome of all) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a);
  return sorted.map(([outcome, count]) => `${count} ${outcome}`).join(", ");
}
