import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { bodyOf, LocalServer, respondJson } from "../local-server.ts";

export interface SwappingOptions {
  readonly models: readonly string[];
  /** Models in memory at once. */
  places: number;
  readonly loadMs: number;
  readonly answerMs: number;
  /** Answers of one model at once. */
  readonly parallel: number;
  /** Models whose load fails. */
  readonly broken?: Set<string>;
}

interface Runner {
  readonly model: string;
  readonly numCtx: number | undefined;
  readonly ready: Promise<void>;
  busy: number;
  usedAt: number;
}

interface Waiting {
  readonly model: string;
  readonly numCtx: number | undefined;
  readonly serve: (runner: Runner) => void;
}

/**
 * An Ollama-like server that loads models on demand and holds only some: requests are served in their order; one whose
 * model is not in memory keeps those behind it until something idle can go for it. A runner that has another `num_ctx`
 * than a request wants is loaded anew.
 */
export class SwappingOllama {
  readonly options: SwappingOptions;
  /** Models in the order of their loads. */
  readonly loads: string[] = [];
  /** Bodies of generations, in the order of their arrival. */
  readonly asked: Record<string, unknown>[] = [];
  readonly answers: Map<string, number> = new Map();
  readonly #server: LocalServer;
  #runners: Runner[] = [];
  readonly #waiting: Waiting[] = [];

  private constructor(options: SwappingOptions) {
    this.options = options;
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  static async start(options: SwappingOptions): Promise<SwappingOllama> {
    const server = new SwappingOllama(options);
    await server.#server.listen();
    return server;
  }

  get url(): string {
    return this.#server.url;
  }

  get loaded(): readonly string[] {
    return this.#runners.map(({ model }) => model);
  }

  /** Forgets all models, as a server that was started anew. */
  forget(): void {
    this.#runners = [];
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await bodyOf(request)).toString();
    if (request.url === "/") response.end("Ollama is running");
    else if (request.url === "/api/version") respondJson(response, 200, { version: "0.33.0" });
    else if (request.url === "/api/tags")
      respondJson(response, 200, { models: this.options.models.map(cardOf) });
    else if (request.url === "/api/ps")
      respondJson(response, 200, { models: this.#runners.map(runningCard) });
    else await this.#generate(JSON.parse(body) as Record<string, unknown>, response);
  }

  async #generate(body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    this.asked.push(body);
    const model = String(body["model"]).replace(/:latest$/, "");
    const numCtx = (body["options"] as { num_ctx?: number } | undefined)?.num_ctx;
    const from = performance.now();
    const runner = await new Promise<Runner>((serve) => {
      this.#waiting.push({ model, numCtx, serve });
      this.#next();
    });
    try {
      await runner.ready;
    } catch {
      response.writeHead(500).end(JSON.stringify({ error: "llama runner process has terminated" }));
      this.#runners = this.#runners.filter((one) => one !== runner);
      this.#next();
      return;
    }
    const load = Math.round((performance.now() - from) * 1e6);
    await delay(this.options.answerMs);
    this.answers.set(model, (this.answers.get(model) ?? 0) + 1);
    runner.busy -= 1;
    runner.usedAt = performance.now();
    answer(response, body, load);
    this.#next();
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const runner = this.#runnerFor(first);
      if (runner === undefined) return;
      this.#waiting.shift();
      runner.busy += 1;
      first.serve(runner);
    }
  }

  /** Undefined while it has to wait: for a slot, or until something is idle that can go. */
  #runnerFor({ model, numCtx }: Waiting): Runner | undefined {
    const there = this.#runners.find((runner) => runner.model === model);
    if (there !== undefined && there.numCtx === numCtx) {
      return there.busy < this.options.parallel ? there : undefined;
    }
    const idle = this.#runners.filter(({ busy }) => busy === 0).toSorted((a, b) => a.usedAt - b.usedAt);
    const victim = there ?? (this.#runners.length < this.options.places ? undefined : idle[0]);
    if (there !== undefined && there.busy > 0) return undefined;
    if (victim === undefined && this.#runners.length >= this.options.places) return undefined;
    const ready = this.#load(model);
    const runner = { model, numCtx, ready, busy: 0, usedAt: performance.now() };
    this.#runners = [...this.#runners.filter((one) => one !== victim), runner];
    return runner;
  }

  async #loading(model: string): Promise<void> {
    await delay(this.options.loadMs);
    if (this.options.broken?.has(model) === true) throw new Error("the load failed");
  }

  #load(model: string): Promise<void> {
    this.loads.push(model);
    const ready = this.#loading(model);
    ready.catch(() => undefined);
    return ready;
  }
}

function cardOf(name: string): object {
  return { name: `${name}:latest`, size: 100, details: { family: "llama" }, capabilities: ["completion"] };
}

function runningCard({ model, numCtx }: Runner): object {
  const expires = new Date(Date.now() + 300_000).toISOString();
  const name = `${model}:latest`;
  return {
    name,
    model: name,
    size: 120,
    size_vram: 120,
    context_length: numCtx ?? 4096,
    expires_at: expires,
  };
}

function answer(response: ServerResponse, body: Record<string, unknown>, load: number): void {
  const { model, stream } = body;
  const message = { role: "assistant", content: "yes" };
  const counts = { total_duration: load + 1, load_duration: load, prompt_eval_count: 1, eval_count: 1 };
  const last = { model, created_at: new Date().toISOString(), done: true, done_reason: "stop", ...counts };
  if (stream === false) {
    respondJson(response, 200, { ...last, message });
    return;
  }
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.write(`${JSON.stringify({ model, message, done: false })}\n`);
  response.end(`${JSON.stringify({ ...last, message: { ...message, content: "" } })}\n`);
}
