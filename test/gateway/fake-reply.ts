import type { Headers, HttpReply } from "../../src/gateway/http/http.ts";

/** A client's side of a reply, in memory. The socket can be made full, and its client can leave. */
export class FakeReply implements HttpReply {
  status = 0;
  headers: ReadonlyMap<string, string> = new Map();
  text = "";
  state: "waiting" | "streaming" | "ended" | "destroyed" | "aborted" = "waiting";
  /** While true, what is written fills the socket. */
  full = false;
  #added: Headers = [];
  #onGone: (() => void) | undefined;
  #onDrain: (() => void) | undefined;

  get isGone(): boolean {
    return this.state === "aborted";
  }

  addHeaders(headers: Headers): void {
    this.#added = [...this.#added, ...headers];
  }

  send(status: number, headers: Headers, body: Buffer | string): void {
    if (this.state !== "waiting") return;
    this.#head(status, headers, body);
    this.state = "ended";
  }

  start(status: number, headers: Headers, first: Buffer): boolean {
    if (this.state !== "waiting") return false;
    this.#head(status, headers, first);
    this.state = "streaming";
    return !this.full;
  }

  write(bytes: Buffer): boolean {
    if (this.state !== "streaming") return false;
    this.text += bytes.toString();
    return !this.full;
  }

  end(last?: Buffer): void {
    if (this.state !== "streaming") return;
    this.text += last?.toString() ?? "";
    this.state = "ended";
  }

  destroy(): void {
    if (this.state === "waiting" || this.state === "streaming") this.state = "destroyed";
  }

  onGone(callback: () => void): void {
    this.#onGone = callback;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  /** The client goes away. */
  leave(): void {
    this.state = "aborted";
    this.#onGone?.();
  }

  /** The full socket has room again. */
  drain(): void {
    this.full = false;
    this.#onDrain?.();
  }

  #head(status: number, headers: Headers, body: Buffer | string): void {
    this.status = status;
    this.headers = new Map([...headers, ...this.#added]);
    this.text = body.toString();
  }
}
