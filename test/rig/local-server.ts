import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** An HTTP server on loopback. All fake backends stand on it. */
export class LocalServer {
  readonly #server: Server;

  constructor(listener: RequestListener) {
    this.#server = createServer(listener);
  }

  /** A server that listens, until the end of the test. */
  static async forTest(t: Pick<TestContext, "after">, listener: RequestListener): Promise<LocalServer> {
    const server = new LocalServer(listener);
    await server.listen();
    t.after(() => server.stop());
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Rejects when the port is taken. @param port a free one when absent */
  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
  }

  /** Cuts all connections and closes. Idempotent. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.once("close", resolve));
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

/** The whole body of a request. Never settles when the client is gone before its end: there is nothing to answer then. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => request.once("end", resolve));
  return Buffer.concat(chunks);
}

/** Answers with a JSON document. */
export function respondJson(
  response: ServerResponse,
  status: number,
  document: unknown,
  contentType = "application/json",
): void {
  response.writeHead(status, { "content-type": contentType }).end(JSON.stringify(document));
}
