import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, LocalServer, respondJson } from "../local-server.ts";

/** A request as a surface server saw it. */
export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
  readonly response: ServerResponse;
  /** Resolves when its connection is gone before its answer was complete. */
  readonly left: Promise<void>;
}

export type Answer = (seen: SeenRequest) => void;

export interface SurfaceServerOptions {
  readonly models?: readonly string[];
  /** Answers by path, to a POST that has a body; without one it is refused with 422, as FastAPI does. */
  readonly paths: Readonly<Record<string, Answer>>;
  /** JSON documents by GET path. */
  readonly documents?: Readonly<Record<string, unknown>>;
  /** The answer at any other path; 404 when absent. */
  readonly other?: Answer;
}

/** A scriptable server of the rest of OpenAI's surface: each path is answered by a function of the test. */
export class SurfaceServer {
  /** POSTs with a body, in the order they came. */
  readonly seen: SeenRequest[] = [];
  /** Paths of POSTs without a body. */
  readonly probed: string[] = [];
  paths: Readonly<Record<string, Answer>>;
  readonly #options: SurfaceServerOptions;
  readonly #server: LocalServer;
  #waiters: (() => void)[] = [];

  private constructor(options: SurfaceServerOptions) {
    this.#options = options;
    this.paths = options.paths;
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  static async start(options: SurfaceServerOptions, port = 0): Promise<SurfaceServer> {
    const server = new SurfaceServer(options);
    await server.#server.listen(port);
    return server;
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return this.#server.url;
  }

  /** The n-th request with a body, from 0, when it has come. */
  async request(index = 0): Promise<SeenRequest> {
    for (;;) {
      const found = this.seen[index];
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Hangs up all connections and closes. Idempotent. */
  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const path = request.url ?? "/";
    const plain = path.replace(/\?.*$/, "");
    if (request.method === "GET") {
      this.#document(plain, response);
      return;
    }
    const answer = Object.hasOwn(this.paths, plain) ? this.paths[plain] : this.#options.other;
    const left = new Promise<void>((resolve) => {
      response.on("close", () => (response.writableFinished ? undefined : resolve()));
    });
    const seen = { method: request.method ?? "", path, headers: request.headers, body, response, left };
    if (body.length === 0) this.probed.push(plain);
    if (answer === undefined) sendJson(404, { detail: "Not Found" })(seen);
    else if (body.length === 0 && answer !== this.#options.other) sendJson(422, { detail: [] })(seen);
    else {
      if (body.length > 0) this.#note(seen);
      answer(seen);
    }
  }

  #note(seen: SeenRequest): void {
    this.seen.push(seen);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  #document(path: string, response: ServerResponse): void {
    const { models = ["bge"], documents = {} } = this.#options;
    const list = {
      object: "list",
      data: models.map((id) => ({ id, object: "model", created: 1, owned_by: "us" })),
    };
    const found = path === "/v1/models" ? list : documents[path];
    respondJson(response, found === undefined ? 404 : 200, found ?? { detail: "Not Found" });
  }
}

/** Answers with JSON. */
export function sendJson(status: number, value: unknown): Answer {
  return sendBytes(status, "application/json", JSON.stringify(value));
}

export function sendBytes(status: number, contentType: string, bytes: Buffer | string): Answer {
  return ({ response }) => {
    response.writeHead(status, { "content-type": contentType });
    response.end(bytes);
  };
}
