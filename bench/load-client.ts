/** One closed-loop client of the load generator: sends a request, checks the reply token by token, sends the next. */
import net from "node:net";
import type { LoadError } from "./load-spec.ts";
import { ResponseReader } from "./response-reader.ts";
import type { ResponseSink } from "./response-reader.ts";
import { TokenScanner } from "./tokens.ts";

/** Where clients record what they see; durations in µs. */
export interface LoadRecord {
  firstToken(us: number): void;
  /** `count` tokens arrived at once, `us` after the ones before them. */
  moreTokens(count: number, us: number): void;
  answered(us: number): void;
  failed(error: LoadError): void;
}

/** State that all clients of a load share. */
export interface ClientOptions {
  readonly port: number;
  /** The request, head and body. */
  readonly request: Buffer;
  readonly tokens: number;
  readonly endMark: string;
  readonly record: LoadRecord;
}

const RETRY_MS = 20;
/** Sockets read one after the other and a read is used up before the next, so all share one buffer. */
const READ_BUFFER = Buffer.allocUnsafeSlow(65_536);

/** A client with one connection at a time; after a failed reply it connects anew. */
export class LoadClient implements ResponseSink {
  readonly #options: ClientOptions;
  readonly #scanner: TokenScanner;
  #reader: ResponseReader;
  #socket: net.Socket | undefined;
  #open = false;
  #stopping = false;
  #status = 0;
  #sentAt = 0;
  #lastAt = 0;
  #now = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#scanner = new TokenScanner(options.tokens, options.endMark);
    this.#reader = new ResponseReader(this);
  }

  /** A reply is still to end. */
  get busy(): boolean {
    return this.#open;
  }

  /** Connects and begins, unless stopped. */
  start(): void {
    if (this.#stopping) return;
    this.#reader = new ResponseReader(this);
    const socket: net.Socket = net.connect({
      port: this.#options.port,
      host: "127.0.0.1",
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: (length): boolean => this.#read(socket, length) },
    });
    this.#socket = socket;
    socket.once("connect", () => this.#send());
    socket.once("error", () => this.#fail("transport"));
    socket.once("close", () => this.#closed(socket));
  }

  /** Sends no further request. */
  stop(): void {
    this.#stopping = true;
  }

  /** Stops and closes the connection; a reply still open counts as unfinished. */
  close(): void {
    this.#stopping = true;
    if (this.#open) this.#fail("unfinished");
    this.#socket?.destroy();
  }

  onHead(status: number): void {
    this.#status = status;
  }

  onBody(bytes: Uint8Array, start: number, end: number): void {
    const before = this.#scanner.seen;
    this.#scanner.feed(bytes, start, end);
    const count = this.#scanner.seen - before;
    if (count === 0) return;
    if (before === 0) {
      this.#options.record.firstToken((this.#now - this.#sentAt) * 1000);
      if (count > 1) this.#options.record.moreTokens(count - 1, 0);
    } else {
      this.#options.record.moreTokens(count, (this.#now - this.#lastAt) * 1000);
    }
    this.#lastAt = this.#now;
  }

  onEnd(): void {
    const fault = this.#faultOfReply();
    if (fault !== undefined) {
      this.#fail(fault);
      return;
    }
    this.#open = false;
    this.#options.record.answered((this.#now - this.#sentAt) * 1000);
    if (!this.#stopping) this.#send();
  }

  #faultOfReply(): LoadError | undefined {
    if (this.#status !== 200) return "status";
    if (this.#scanner.broken) return "tokens";
    return this.#scanner.whole ? undefined : "truncated";
  }

  #send(): void {
    if (this.#stopping) return;
    this.#open = true;
    this.#scanner.reset();
    this.#sentAt = performance.now();
    this.#socket?.write(this.#options.request);
  }

  #read(socket: net.Socket, length: number): boolean {
    if (socket !== this.#socket) return true;
    this.#now = performance.now();
    try {
      this.#reader.feed(READ_BUFFER, length);
    } catch {
      this.#fail("transport");
    }
    return true;
  }

  #fail(error: LoadError): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    this.#open = false;
    this.#options.record.failed(error);
    socket.destroy();
    setTimeout(() => this.start(), RETRY_MS);
  }

  #closed(socket: net.Socket): void {
    if (socket !== this.#socket) return;
    if (this.#open) this.#fail(this.#reader.midway ? "truncated" : "transport");
    else if (!this.#stopping) this.#fail("transport");
  }
}
