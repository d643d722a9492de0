import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, LocalServer, respondJson } from "../local-server.ts";

/** A stand-in for the management side of an Ollama server: models that can be shown, pulled, copied and deleted. */
export class OllamaManager {
  readonly models: Set<string>;
  /** `METHOD /path body`, in the order of arrival. */
  readonly asked: string[] = [];
  /** Progress lines of a pull. The last line decides how it ends. */
  pullLines: readonly object[] = [{ status: "pulling manifest" }, { status: "success" }];
  /** Replies whose client hung up before the end. */
  hungUp = 0;
  /** While set, an answer waits for it. */
  gate: Promise<void> | undefined;
  readonly #blobs = new Set<string>();
  readonly #server: LocalServer;

  private constructor(models: readonly string[]) {
    this.models = new Set(models);
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  static async start(models: readonly string[]): Promise<OllamaManager> {
    const manager = new OllamaManager(models);
    await manager.#server.listen();
    return manager;
  }

  get url(): string {
    return this.#server.url;
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await bodyOf(request)).toString();
    const path = request.url ?? "/";
    const line = `${request.method} ${path}`;
    if (this.#answerRead(line, response)) return;
    this.asked.push(`${line} ${body}`.trim());
    response.on("close", () => {
      if (!response.writableFinished) this.hungUp += 1;
    });
    await this.gate;
    if (path.startsWith("/api/blobs/")) this.#blob(request, response, body);
    else await this.#manage(line, response, JSON.parse(body) as Record<string, string>);
  }

  #answerRead(line: string, response: ServerResponse): boolean {
    const tags = [...this.models].map((name) => ({
      name,
      size: 100,
      details: { family: "llama" },
      capabilities: ["completion"],
    }));
    const held = tags.map((tag) => ({
      ...tag,
      size: 120,
      size_vram: 60,
      context_length: 2048,
      expires_at: SOON,
    }));
    if (line === "GET /") response.end("Ollama is running");
    else if (line === "GET /api/version") json(response, 200, { version: "0.33.0" });
    else if (line === "GET /api/tags") json(response, 200, { models: tags });
    else if (line === "GET /api/ps") json(response, 200, { models: held });
    else return false;
    return true;
  }

  #blob({ method, url = "" }: IncomingMessage, response: ServerResponse, body: string): void {
    const digest = url.slice("/api/blobs/".length);
    const known = this.#blobs.has(digest);
    if (method === "HEAD") response.writeHead(known ? 200 : 404).end();
    else if (digest !== `sha256:${createHash("sha256").update(body).digest("hex")}`)
      json(response, 400, { error: "digest mismatch" });
    else {
      this.#blobs.add(digest);
      response.writeHead(known ? 200 : 201).end();
    }
  }

  async #manage(line: string, response: ServerResponse, body: Record<string, string>): Promise<void> {
    const { name: alias = "", model = alias, source = "", destination = "" } = body;
    const name = tagged(model);
    if (line === "POST /api/show") {
      if (this.models.has(name)) json(response, 200, { model_info: {}, asked: body, url: this.url });
      else json(response, 404, { error: `model '${name}' not found` });
    } else if (line === "POST /api/copy") {
      this.models.add(tagged(destination));
      response.writeHead(this.models.has(tagged(source)) ? 200 : 404).end();
    } else if (line === "DELETE /api/delete") {
      if (this.models.delete(name)) response.writeHead(200).end();
      else json(response, 404, { error: `model '${model}' not found` });
    } else await this.#progress(response, name);
  }

  async #progress(response: ServerResponse, name: string): Promise<void> {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const step of this.pullLines) {
      response.write(`${JSON.stringify(step)}\n`);
      await new Promise(setImmediate);
    }
    if (JSON.stringify(this.pullLines.at(-1)) === '{"status":"success"}') this.models.add(name);
    response.end();
  }
}

/** When models leave the memory, in the words of a server in another time zone. */
const SOON = "2030-01-01T02:00:00.123456789+02:00";

function tagged(name: string): string {
  return name.includes(":") ? name : `${name}:latest`;
}

/** As Ollama does, with the charset. */
function json(response: ServerResponse, status: number, document: unknown): void {
  respondJson(response, status, document, "application/json; charset=utf-8");
}
