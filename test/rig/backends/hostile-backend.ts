import type { Socket } from "node:net";
import { LocalTcp } from "../local-tcp.ts";

/** The reaction of a hostile backend to a request. */
export type Deed = (socket: Socket) => void;

/** A backend that answers every POST with a deed, and gives nothing else away. */
export class HostileBackend {
  /** The reaction to the next request. */
  deed: Deed = (socket) => socket.destroy();
  /** Bytes written so far. */
  written = 0;
  connections = 0;
  readonly #server: LocalTcp;

  private constructor() {
    this.#server = new LocalTcp((socket) => this.#meet(socket));
  }

  static async start(): Promise<HostileBackend> {
    const backend = new HostileBackend();
    await backend.#server.listen();
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  /** Connections now. */
  get open(): number {
    return this.#server.open;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  #meet(socket: Socket): void {
    this.connections += 1;
    socket.on("close", () => (this.written += socket.bytesWritten));
    let heard = "";
    socket.on("data", (chunk: Buffer) => {
      heard += chunk.toString("latin1");
      const end = heard.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(heard)?.[1] ?? 0);
      if (end < 0 || heard.length < end + 4 + length) return;
      heard = "";
      this.deed(socket);
    });
  }
}

/** Writes pieces, each in a packet of its own where the system allows it, then hangs up. */
export function sends(...pieces: readonly (string | Buffer)[]): Deed {
  return (socket) => {
    socket.setNoDelay(true);
    for (const piece of pieces) socket.write(piece);
    socket.end();
  };
}

/** Writes pieces and keeps the connection. */
export function says(...pieces: readonly (string | Buffer)[]): Deed {
  return (socket) => {
    socket.setNoDelay(true);
    for (const piece of pieces) socket.write(piece);
  };
}

/** Writes a beginning, and then the same again and again until the other side hangs up. */
export function sendsForEver(begin: string | Buffer, again: string | Buffer): Deed {
  const bytes = Buffer.from(again);
  return (socket) => {
    const more = (): void => {
      while (!socket.destroyed && socket.write(bytes));
    };
    socket.on("drain", more);
    socket.write(begin);
    more();
  };
}
