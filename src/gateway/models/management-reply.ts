import type { Headers, HttpReply } from "../http/http.ts";

/** The answer to a management request. */
export interface ManagementAnswer {
  readonly status: number;
  readonly contentType: string;
  /** The whole reply; without the pieces that were passed on as they arrived. */
  readonly body: Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * The client's side of an exchange whose client is this gateway itself. The answer always resolves. A reply that breaks
 * off, or that can no longer arrive, becomes an error like those of a server.
 */
export class ManagementReply implements HttpReply {
  readonly answer: Promise<ManagementAnswer>;
  readonly #settle: PromiseWithResolvers<ManagementAnswer> = Promise.withResolvers<ManagementAnswer>();
  readonly #onBytes: ((bytes: Buffer) => void) | undefined;
  #status = 502;
  #contentType = "";
  #chunks: Buffer[] = [];
  #isOver = false;
  #isGone = false;
  #onGone: (() => void) | undefined;

  /** @param onBytes takes the bytes of a reply in pieces; they are gathered when it is absent */
  constructor(onBytes?: (bytes: Buffer) => void) {
    this.#onBytes = onBytes;
    this.answer = this.#settle.promise;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Does nothing: only the content type of the headers is read. */
  addHeaders(): void {}

  send(status: number, headers: Headers, body: Buffer | string): void {
    this.#head(status, headers);
    this.#finish(Buffer.from(body));
  }

  start(status: number, headers: Headers, first: Buffer): boolean {
    this.#head(status, headers);
    return this.write(first);
  }

  write(bytes: Buffer): boolean {
    if (this.#isOver) return false;
    if (this.#onBytes === undefined) this.#chunks.push(bytes);
    else this.#onBytes(bytes);
    return true;
  }

  end(last: Buffer = NOTHING): void {
    this.write(last);
    this.#finish(Buffer.concat(this.#chunks));
  }

  destroy(): void {
    this.#fail(502, "the answer broke off");
  }

  onGone(callback: () => void): void {
    this.#onGone = callback;
  }

  /** Does nothing: this reply is never full. */
  onDrain(): void {}

  /** Cancels the request: its worker stops, and the answer is an error. */
  cancel(status: number, why: string): void {
    if (this.#isOver) return;
    this.#fail(status, why);
    this.#isGone = true;
    this.#onGone?.();
  }

  #head(status: number, headers: Headers): void {
    this.#status = status;
    this.#contentType = headers.find(([name]) => name === "content-type")?.[1] ?? "";
  }

  #fail(status: number, error: string): void {
    this.#head(status, [["content-type", "application/json; charset=utf-8"]]);
    this.#finish(Buffer.from(JSON.stringify({ error })));
  }

  #finish(body: Buffer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settle.resolve({ status: this.#status, contentType: this.#contentType, body });
  }
}
