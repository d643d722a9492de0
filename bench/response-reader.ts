/** A minimal reader of HTTP/1.1 responses on a kept connection, fed with bytes cut anywhere. */

/** Events of the reader, in the order of the bytes. */
export interface ResponseSink {
  onHead(status: number): void;
  /** Body bytes `start .. end - 1` of `bytes`, without chunk framing; `bytes` is only valid during the call. */
  onBody(bytes: Uint8Array, start: number, end: number): void;
  /** The response is complete. */
  onEnd(): void;
}

type Step = "head" | "fixed" | "size" | "chunk" | "crlf" | "trailer";

const LF = 0x0a;

/** Splits a connection's bytes into responses. Throws an Error on bytes that are not HTTP/1.1 with a framed body. */
export class ResponseReader {
  readonly #sink: ResponseSink;
  #step: Step = "head";
  #line = "";
  #left = 0;

  constructor(sink: ResponseSink) {
    this.#sink = sink;
  }

  /** A response has begun and not ended. */
  get midway(): boolean {
    return this.#step !== "head" || this.#line !== "";
  }

  /** Takes the first `length` bytes of `bytes`. */
  feed(bytes: Buffer, length: number): void {
    let at = 0;
    while (at < length) {
      switch (this.#step) {
        case "head":
          at = this.#readHead(bytes, at, length);
          break;
        case "fixed":
        case "chunk":
          at = this.#readBody(bytes, at, length);
          break;
        case "size":
        case "crlf":
        case "trailer":
          at = this.#readLine(bytes, at, length);
          break;
      }
    }
  }

  #readHead(bytes: Buffer, at: number, length: number): number {
    const before = this.#line.length;
    this.#line += bytes.toString("latin1", at, length);
    const end = this.#line.indexOf("\r\n\r\n");
    if (end < 0) return length;
    const head = this.#line.slice(0, end);
    this.#line = "";
    this.#begin(head);
    return at + end + 4 - before;
  }

  #begin(head: string): void {
    if (!head.startsWith("HTTP/1.1 ")) throw new Error("not an HTTP/1.1 response");
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined && !/\r\ntransfer-encoding: *chunked/i.test(head)) {
      throw new Error("a response without a framed body");
    }
    this.#sink.onHead(Number(head.slice(9, 12)));
    this.#left = Number(length ?? 0);
    this.#step = length === undefined ? "size" : "fixed";
    if (this.#step === "fixed" && this.#left === 0) this.#finish();
  }

  #readBody(bytes: Buffer, at: number, length: number): number {
    const end = Math.min(length, at + this.#left);
    this.#left -= end - at;
    this.#sink.onBody(bytes, at, end);
    if (this.#left === 0) {
      if (this.#step === "fixed") this.#finish();
      else this.#step = "crlf";
    }
    return end;
  }

  #readLine(bytes: Buffer, at: number, length: number): number {
    let end = at;
    while (end < length && bytes[end] !== LF) end += 1;
    this.#line += bytes.toString("latin1", at, end);
    if (end === length) return length;
    const line = this.#line.trimEnd();
    this.#line = "";
    this.#takeLine(line);
    return end + 1;
  }

  #takeLine(line: string): void {
    if (this.#step === "size") {
      this.#left = Number.parseInt(line, 16);
      if (Number.isNaN(this.#left)) throw new Error("a chunk without a size");
      this.#step = this.#left === 0 ? "trailer" : "chunk";
    } else if (this.#step === "crlf") {
      this.#step = "size";
    } else if (line === "") {
      this.#finish();
    }
  }

  #finish(): void {
    this.#step = "head";
    this.#sink.onEnd();
  }
}
