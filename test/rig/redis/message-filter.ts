import { connect, type Socket } from "node:net";
import { LocalTcp } from "../local-tcp.ts";

/** A way to Redis on which the messages of a channel with a certain text are lost. All else passes. */
export class MessageFilter {
  readonly #server: LocalTcp;
  readonly #frame: Buffer;
  #lost = 0;

  private constructor(port: number, channel: string, text: string) {
    this.#frame = Buffer.from(`*3\r\n$7\r\nmessage\r\n${bulk(channel)}${bulk(text)}`);
    this.#server = new LocalTcp((near) => {
      const far = connect({ port, host: "127.0.0.1", noDelay: true });
      near.setNoDelay(true);
      join(near, far, (chunk) => chunk);
      let held: Buffer = Buffer.alloc(0);
      join(far, near, (chunk) => {
        const { passed, rest } = this.#without(Buffer.concat([held, chunk]));
        held = rest;
        return passed;
      });
    });
  }

  /** @param port of a Redis on 127.0.0.1 */
  static async open(port: number, channel: string, text: string): Promise<MessageFilter> {
    const filter = new MessageFilter(port, channel, text);
    await filter.#server.listen();
    return filter;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#server.port}`;
  }

  /** Messages that were lost so far. */
  get lost(): number {
    return this.#lost;
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  /** Returns the bytes that pass, and the beginning of a message of which the rest is to come. */
  #without(bytes: Buffer): { readonly passed: Buffer; readonly rest: Buffer } {
    const pieces: Buffer[] = [];
    let from = 0;
    for (let at = bytes.indexOf(this.#frame); at !== -1; at = bytes.indexOf(this.#frame, from)) {
      pieces.push(bytes.subarray(from, at));
      from = at + this.#frame.length;
      this.#lost += 1;
    }
    const left = bytes.subarray(from);
    const begun = this.#begunIn(left);
    pieces.push(left.subarray(0, left.length - begun));
    return { passed: Buffer.concat(pieces), rest: left.subarray(left.length - begun) };
  }

  /** Bytes at the end with which a message begins. */
  #begunIn(bytes: Buffer): number {
    for (let size = Math.min(bytes.length, this.#frame.length - 1); size > 0; size -= 1) {
      if (bytes.subarray(-size).equals(this.#frame.subarray(0, size))) return size;
    }
    return 0;
  }
}

function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

function join(from: Socket, to: Socket, pass: (chunk: Buffer) => Buffer): void {
  from.on("data", (chunk: Buffer) => {
    const passed = pass(chunk);
    if (passed.length > 0 && !to.destroyed && !to.write(passed)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("error", () => to.destroy());
  from.on("close", () => to.destroy());
}
