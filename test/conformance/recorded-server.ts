import type { IncomingMessage, ServerResponse } from "node:http";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { bodyOf, LocalServer } from "../rig/local-server.ts";
import type { Transcript } from "../rig/transcript.ts";
import { readTelling } from "./telling.ts";
import type { Retold } from "./retell.ts";

/** Options of a stand-in that answers like a recorded server. */
export interface RecordedServerOptions {
  /** Documents by path, for GET. */
  readonly documents: Readonly<Record<string, Json>>;
  /** Paths of the server's own API: asked for another path's recording, it tells it again. */
  readonly retell: (path: string, asked: JsonObject, transcript: Transcript) => Retold;
  /** The body of an error in the server's own API. */
  readonly error: (message: string, status: number) => JsonObject;
}

/** A server that answers each request with the recording that is on. */
export class RecordedServer {
  /** Answered with; undefined between two cases. */
  on: Transcript | undefined;
  /** Requests for an answer since the start, and answers whose client left before their end. */
  asked = 0;
  left = 0;
  readonly documents: Record<string, Json>;
  readonly #options: RecordedServerOptions;
  readonly #server: LocalServer;

  private constructor(options: RecordedServerOptions) {
    this.#options = options;
    this.documents = { ...options.documents };
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  static async start(options: RecordedServerOptions): Promise<RecordedServer> {
    const server = new RecordedServer(options);
    await server.#server.listen();
    return server;
  }

  get url(): string {
    return this.#server.url;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = (await bodyOf(request)).toString();
    const path = request.url ?? "/";
    const document = request.method === "GET" ? this.documents[path] : undefined;
    if (document !== undefined) {
      const text = typeof document === "string" ? document : JSON.stringify(document);
      response.writeHead(200, { "content-type": "application/json" }).end(text);
      return;
    }
    const { on } = this;
    if (on === undefined) {
      response.writeHead(404, { "content-type": "text/plain" }).end("404 page not found");
      return;
    }
    this.asked += 1;
    response.on("close", () => {
      if (!response.writableFinished) this.left += 1;
    });
    await this.#answer(response, { on, path, sent, method: request.method ?? "GET" });
  }

  async #answer(
    response: ServerResponse,
    { on, path, sent, method }: { on: Transcript; path: string; sent: string; method: string },
  ): Promise<void> {
    const contentType = on.headers.get("content-type") ?? "";
    if (path === on.path.replace(/\/$/, "") && method === on.method) {
      await send(response, { status: on.status, contentType, chunks: on.chunks, open: on.left });
    } else if (on.status >= 300) {
      const message = readTelling(contentType, on.body.toString()).error ?? on.body.toString();
      const chunks = [JSON.stringify(this.#options.error(message, on.status))];
      await send(response, { status: on.status, contentType: "application/json", chunks, open: false });
    } else {
      const asked: unknown = JSON.parse(sent);
      const told = this.#options.retell(path, isObject(asked) ? asked : {}, on);
      await send(response, { status: 200, ...told, open: on.left });
    }
  }
}

async function send(
  response: ServerResponse,
  reply: { status: number; contentType: string; chunks: readonly (Buffer | string)[]; open: boolean },
): Promise<void> {
  response.writeHead(reply.status, reply.contentType === "" ? {} : { "content-type": reply.contentType });
  for (const chunk of reply.chunks) {
    response.write(chunk);
    await new Promise(setImmediate);
  }
  if (!reply.open) response.end();
}
