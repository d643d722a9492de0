import type { IncomingMessage, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { bodyOf, LocalServer } from "../local-server.ts";
import type { Program } from "../fleet/program.ts";

/** Text in one event of a flood, bytes. */
const PIECE_BYTES = 64 * 1024;
const FILL = "x".repeat(PIECE_BYTES);

/** One answer of a flood. */
export interface Flow {
  /** Events written. */
  events: number;
  /** True while its connection takes nothing more. */
  blocked: boolean;
  outcome: "open" | "finished" | "aborted";
  /** Mono ms of the outcome. */
  endedAt: number;
}

/**
 * An OpenAI server that writes as quickly as its answers are read, and no quicker. A request says with `max_tokens` how
 * many events of 64 KiB it wants, each with its number.
 */
export class Flood {
  readonly flows: Flow[] = [];
  readonly #server: LocalServer;

  private constructor() {
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<Flood> {
    const flood = new Flood();
    await flood.#server.listen();
    return flood;
  }

  get url(): string {
    return this.#server.url;
  }

  /** Bytes written for all answers, about. */
  get bytes(): number {
    return this.flows.reduce((sum, { events }) => sum + events * PIECE_BYTES, 0);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    // A worker that probes whether the path exists sends no body.
    if (request.method === "POST" && body.length === 0) response.writeHead(404).end();
    else if (request.method === "POST") await this.#answer(response, JSON.parse(body.toString()));
    else response.end(JSON.stringify({ object: "list", data: [{ id: "tiny", object: "model" }] }));
  }

  async #answer(response: ServerResponse, { max_tokens: events }: { max_tokens: number }): Promise<void> {
    const flow: Flow = { events: 0, blocked: false, outcome: "open", endedAt: 0 };
    this.flows.push(flow);
    response.on("close", () => {
      flow.outcome = response.writableFinished ? "finished" : "aborted";
      flow.endedAt = performance.now();
    });
    response.writeHead(200, { "content-type": "text/event-stream" });
    while (flow.events < events && !response.destroyed) {
      flow.blocked = !response.write(event(flow.events));
      flow.events += 1;
      if (flow.blocked) await room(response);
      // A connection that takes all at once must not keep this process from anything else.
      await setImmediate();
    }
    flow.blocked = false;
    response.end(END);
  }
}

/** Resolves when the connection takes more, or has closed. */
async function room(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const over = (): void => {
      response.off("drain", over).off("close", over);
      resolve();
    };
    response.on("drain", over).on("close", over);
  });
}

function textOf(delta: object, finish: "stop" | null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }];
  return `data: ${JSON.stringify({ id: "f", object: "chat.completion.chunk", created: 1, model: "tiny", choices })}\n\n`;
}

/** An event around the place of its number: a flood writes a gigabyte, which is put together from bytes. */
const [BEFORE = "", AFTER = ""] = textOf({ content: `<#>${FILL}` }, null).split("#");
const AFTER_BYTES = Buffer.from(AFTER);
const END = `${textOf({}, "stop")}data: [DONE]\n\n`;

function event(index: number): Buffer {
  return Buffer.concat([Buffer.from(`${BEFORE}${index}`), AFTER_BYTES]);
}

/** A client that reads only when it is told to. */
export class LazyReader {
  readonly socket: Socket;
  /** The numbers of the events it has read, in order. */
  readonly seen: number[] = [];
  bytes = 0;
  /** True when the stream has ended well. */
  isDone = false;
  #rest = "";

  constructor(gateway: Program, events: number) {
    const { hostname, port } = new URL(gateway.url);
    const messages = [{ role: "user", content: "hello" }];
    const body = JSON.stringify({ model: "tiny", stream: true, max_tokens: events, messages });
    this.socket = connect(Number(port), hostname);
    this.socket.on("error", () => {});
    this.socket.pause();
    this.socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  }

  /** Reads on, until the end of the answer or the connection. */
  async read(): Promise<void> {
    const over = Promise.withResolvers<void>();
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text: string) => {
      this.#hear(text);
      if (this.isDone) over.resolve();
    });
    this.socket.once("close", () => over.resolve());
    this.socket.resume();
    await over.promise;
  }

  /** Reads on at a slow pace, until the end of the answer or the connection: at most so many bytes, so often. */
  async readSteadily(pace: { readonly bytes: number; readonly everyMs: number }): Promise<void> {
    const over = Promise.withResolvers<void>();
    this.socket.setEncoding("latin1");
    this.socket.once("close", () => over.resolve());
    const clock = setInterval(() => {
      const text: unknown = this.socket.read(Math.min(pace.bytes, this.socket.readableLength));
      if (typeof text === "string") this.#hear(text);
      if (this.isDone) over.resolve();
    }, pace.everyMs);
    await over.promise;
    clearInterval(clock);
  }

  leave(): void {
    this.socket.destroy();
  }

  #hear(text: string): void {
    this.bytes += text.length;
    const all = this.#rest + text;
    for (const [, index] of all.matchAll(/<(\d+)>/g)) this.seen.push(Number(index));
    this.isDone ||= all.includes("[DONE]");
    // Text that may be the beginning of a number, or of the end.
    this.#rest = /(?:<\d*|\[[A-Z]*)$/.exec(all)?.[0] ?? "";
  }
}
