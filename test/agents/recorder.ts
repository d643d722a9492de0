import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { bodyOf, LocalServer } from "../rig/local-server.ts";

/** A request of a client as it went to the gateway, and how that answered. */
export interface Exchange {
  readonly path: string;
  readonly body: unknown;
  readonly status: number;
  /** The names in `x-sgnet-dropped`. */
  readonly dropped: readonly string[];
}

/** Stands between a client and a gateway, passes everything on, and writes down the requests with a body. */
export class Recorder {
  readonly exchanges: Exchange[] = [];
  readonly #server;
  readonly #gateway: URL;

  private constructor(gateway: string) {
    this.#gateway = new URL(gateway);
    this.#server = new LocalServer((request, response) => void this.#pass(request, response));
  }

  static async start(gateway: string): Promise<Recorder> {
    const recorder = new Recorder(gateway);
    await recorder.#server.listen();
    return recorder;
  }

  get url(): string {
    return this.#server.url;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const { hostname: host, port } = this.#gateway;
    const options = {
      host,
      port,
      method: request.method,
      path: request.url,
      headers: { ...request.headers },
    };
    const passed = httpRequest(options, (answer) => {
      if (request.method === "POST") this.#write(request.url ?? "/", body, answer);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    passed.end(body);
  }

  #write(url: string, body: Buffer, answer: IncomingMessage): void {
    const dropped = answer.headers["x-sgnet-dropped"];
    this.exchanges.push({
      path: url.replace(/\?.*$/, ""),
      body: parsed(body.toString()),
      status: answer.statusCode ?? 0,
      dropped: typeof dropped === "string" ? dropped.split(", ") : [],
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
