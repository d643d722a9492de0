import type { Headers, HttpReply } from "./http.ts";

/** What came back for an errand. */
export interface ErrandAnswer {
  readonly status: number;
  readonly contentType: string;
  /** The whole reply, or what of it was not handed over as it came. */
  readonly body: Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * The client's side of an exchange where the client is this gateway itself. The answer always resolves: a reply that
 * breaks off, or that nobody can give any more, becomes an error like those of a server.
 */
export class ErrandReply implements HttpReply {
  readonly answer: Promise<ErrandAnswer>;
  readonly #settle: PromiseWithResolvers<ErrandAnswer> = Promise.withResolvers<ErrandAnswer>();
  readonly #onBytes: ((bytes: Buffer) => void) | undefined;
  #status = 502;
  #contentType = "";
  #chunks: Buffer[] = [];
  #over = false;
  #aborted = false;
  #onAbort: (() => void) | undefined;

  /** @param onBytes takes the bytes of a reply that comes in pieces; gathered when absent */
  constructor(onBytes?: (bytes: Buffer) => void) {
    this.#onBytes = onBytes;
    this.answer = this.#settle.promise;
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  /** Nobody looks at headers but at the type. */
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
    if (this.#over) return false;
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

  onAbort(callback: () => void): void {
    this.#onAbort = callback;
  }

  /** Nothing here is ever full. */
  onDrain(): void {}

  /** Gives the errand up: its worker is told, and the answer is an error. */
  giveUp(status: number, why: string): void {
    if (this.#over) return;
    this.#fail(status, why);
    this.#aborted = true;
    this.#onAbort?.();
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
    if (this.#over) return;
    this.#over = true;
    this.#settle.resolve({ status: this.#status, contentType: this.#contentType, body });
  }
}
