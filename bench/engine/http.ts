/** The simulated engine as a server of Ollama's API. */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Engine } from "./engine.ts";
import type { AnswerReport, EngineRequest } from "./engine.ts";
import { metricsOf, slotsOf } from "./llamacpp-reply.ts";
import { ReplyText, cardOf, embedOf, loadedOf, tagOf } from "./ollama-reply.ts";
import { BadRequest, parseBody, readRequest } from "./ollama-request.ts";
import type { OllamaRequest } from "./ollama-request.ts";
import { RealTime } from "./real-time.ts";
import type { Refusal, Runner } from "./scheduler.ts";
import type { EngineSpec, SimModel } from "./spec.ts";
import { Timeline } from "./timeline.ts";

const REFUSALS: Readonly<Record<Refusal, { readonly status: number; readonly error: string }>> = {
  busy: { status: 503, error: "server busy, please try again.  maximum pending requests exceeded" },
  memory: { status: 500, error: "model requires more system memory than is available" },
};

const GENERATING: ReadonlyMap<string, "chat" | "generate" | "embed"> = new Map([
  ["/api/chat", "chat"],
  ["/api/generate", "generate"],
  ["/api/embed", "embed"],
]);

/** A server and what it has done. */
export interface EngineServer {
  readonly server: Server;
  readonly engine: Engine;
  /** Closes all connections and ends its timers. */
  stop(): void;
}

/** An engine that is not yet listening. @param speed simulated ms per ms */
export function engineServer(spec: EngineSpec, speed = 1): EngineServer {
  const timeline = new Timeline();
  const time = new RealTime(timeline, speed);
  const engine = new Engine(spec, timeline);
  const handlers = new EngineHandlers({ engine, time, timeline });
  const server = createServer((request, response) => void handlers.serve(request, response));
  server.keepAliveTimeout = 60_000; // longer than any pause of our clients
  const stop = (): void => {
    time.stop();
    server.closeAllConnections();
    server.close();
  };
  return { server, engine, stop };
}

interface EngineClock {
  readonly engine: Engine;
  readonly time: RealTime;
  readonly timeline: Timeline;
}

/** A request that generates, and where its answer goes. */
interface PendingReply {
  readonly form: "chat" | "generate" | "embed";
  readonly asked: OllamaRequest;
  readonly model: SimModel;
  readonly inputs: number;
  readonly response: ServerResponse;
}

class EngineHandlers {
  readonly #engine: Engine;
  readonly #time: RealTime;
  readonly #timeline: Timeline;

  constructor({ engine, time, timeline }: EngineClock) {
    this.#engine = engine;
    this.#time = time;
    this.#timeline = timeline;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "/").replace(/\?.*$/, "");
    response.on("error", () => response.destroy());
    try {
      if (request.method === "POST") this.#post(path, await textOf(request), response);
      else this.#get(path, response);
    } catch (error) {
      if (error instanceof BadRequest) json(response, error.status, { error: error.message });
      else response.destroy(); // the client left within its request
    }
  }

  #get(path: string, response: ServerResponse): void {
    const document = this.#time.enter(() => this.#document(path));
    if (document === undefined) text(response, 404, "404 page not found");
    else if (typeof document === "string") text(response, 200, document);
    else json(response, 200, document);
  }

  #document(path: string): string | object | undefined {
    const engine = this.#engine;
    if (path === "/") return "Ollama is running";
    if (path === "/api/version") return { version: "0.33.0" };
    if (path === "/api/tags") return { models: engine.spec.models.map(tagOf) };
    if (path === "/api/ps") {
      return { models: engine.runners.map((runner) => loadedOf(runner, this.#expiryOf(runner))) };
    }
    if (path === "/slots") return slotsOf(engine);
    if (path === "/metrics") return metricsOf(engine);
    if (path === "/sim/counters") {
      return { ...engine.counters, usedBytes: engine.usedBytes, waiting: engine.waiting };
    }
    return undefined;
  }

  /** In real ms since 1970; undefined: never. A busy model will stay for its time from now on. */
  #expiryOf({ keepAliveMs, holders, expiresAtMs }: Runner): number | undefined {
    if (keepAliveMs < 0) return undefined;
    const inMs = holders.size > 0 ? keepAliveMs : expiresAtMs - this.#timeline.nowMs;
    return Date.now() + inMs / this.#time.speed;
  }

  #post(path: string, body: string, response: ServerResponse): void {
    const form = GENERATING.get(path);
    if (form === undefined && path !== "/api/show") {
      text(response, 404, "404 page not found");
      return;
    }
    const parsed = parseBody(body);
    const asked = readRequest(parsed);
    const model = this.#engine.modelOf(asked.model);
    if (model === undefined) throw new BadRequest(404, `model '${asked.model}' not found`);
    if (form === undefined) {
      json(response, 200, cardOf(model));
      return;
    }
    const inputs = Array.isArray(parsed["input"]) ? parsed["input"].length : 1;
    this.#generate({ form, asked, model, inputs, response });
  }

  #generate(order: PendingReply): void {
    const { form, asked, model, response } = order;
    if (form !== "embed" && asked.prompt === "" && asked.keepAliveMs === 0) {
      this.#time.enter(() => this.#engine.unload(model));
      jsonText(response, 200, new ReplyText(form, asked.model).empty("unload"));
      return;
    }
    const kind = form === "embed" ? "embed" : asked.prompt === "" ? "load" : "generate";
    const { prompt, tokens, options, keepAliveMs } = asked;
    const request: EngineRequest = { kind, model, prompt, tokens, options, keepAliveMs };
    const listener = {
      onToken: this.#tokenWriter(order),
      onEnd: (report: AnswerReport) => this.#finish(order, kind, report),
      onRefusal: (refusal: Refusal) => {
        json(response, REFUSALS[refusal].status, { error: REFUSALS[refusal].error });
      },
    };
    const visit = this.#time.enter(() => this.#engine.ask(request, listener));
    response.on("close", () => {
      if (!response.writableEnded) this.#time.enter(() => visit.leave());
    });
  }

  /** Writes each token of a stream as it is made. */
  #tokenWriter({ form, asked, response }: PendingReply): (index: number) => void {
    if (form === "embed" || !asked.stream) return () => undefined;
    const reply = new ReplyText(form, asked.model);
    return (index) => {
      if (index === 0) response.writeHead(200, { "content-type": "application/x-ndjson" });
      response.write(reply.token(index));
    };
  }

  #finish(
    { form, asked, inputs, response }: PendingReply,
    kind: EngineRequest["kind"],
    report: AnswerReport,
  ): void {
    const { speed } = this.#time;
    if (form === "embed") {
      json(response, 200, embedOf(asked.model, inputs, report, speed));
      return;
    }
    const reply = new ReplyText(form, asked.model);
    if (kind === "load") jsonText(response, 200, reply.empty("load"));
    else if (asked.stream) response.end(reply.last(report, speed));
    else jsonText(response, 200, reply.whole(report, speed));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString();
}

function json(response: ServerResponse, status: number, document: object): void {
  jsonText(response, status, JSON.stringify(document));
}

function jsonText(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain", "content-length": Buffer.byteLength(body) });
  response.end(body);
}
