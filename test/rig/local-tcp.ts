import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A TCP server on loopback that knows its connections. Faulty links and hostile servers stand on it. */
export class LocalTcp {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @param accept gets each new connection, whose errors are ignored */
  constructor(accept: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.watch(socket);
      accept(socket);
    });
  }

  /** Cuts this connection, too, when the server stops. */
  watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections now. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Listens on a free port. */
  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(0, "127.0.0.1", resolve);
    });
  }

  /** Cuts all connections and closes. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
