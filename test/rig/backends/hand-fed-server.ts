import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { bodyOf, LocalServer, respondJson } from "../local-server.ts";

/** One request to a {@link HandFed} server. The test writes its answer token by token. */
export class Question {
  readonly body: Buffer;
  /** Resolves when the connection closes before the answer is complete. */
  readonly left: Promise<void>;
  readonly #response: ServerResponse;

  constructor(body: Buffer, response: ServerResponse) {
    this.body = body;
    this.#response = response;
    this.left = leaving(response);
    this.left.catch(() => undefined);
  }

  /** Sends one token of a stream. */
  say(content: string): void {
    if (!this.#response.headersSent) this.#response.writeHead(200, { "content-type": "text/event-stream" });
    this.#event({ delta: { role: "assistant", content }, finish_reason: null });
  }

  /** Ends a stream. */
  finish(): void {
    this.#event({ delta: {}, finish_reason: "stop" });
    this.#response.end("data: [DONE]\n\n");
  }

  /** A whole answer. */
  answer(content: string): void {
    const message = { role: "assistant", content };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    this.#response.writeHead(200, { "content-type": "application/json" });
    this.#response.end(JSON.stringify({ ...COMMON, object: "chat.completion", choices }));
  }

  #event(choice: object): void {
    const chunk = { ...COMMON, object: "chat.completion.chunk", choices: [{ index: 0, ...choice }] };
    this.#response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  }
}

async function leaving(response: ServerResponse): Promise<void> {
  await once(response, "close");
  if (response.writableFinished) throw new Error("answered, not left");
}

const COMMON = { id: "1", created: 1, model: "tiny" };

/** An OpenAI-compatible server that says nothing by itself: a test feeds each of its answers by hand. */
export class HandFed {
  readonly #server: LocalServer;
  readonly #questions: Question[] = [];
  readonly #waiting: ((question: Question) => void)[] = [];
  /** Answers each question at once; set while a test only counts. */
  automatic: ((question: Question) => void) | undefined;

  private constructor() {
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<HandFed> {
    const server = new HandFed();
    await server.#server.listen();
    return server;
  }

  get url(): string {
    return this.#server.url;
  }

  /** The next question that nothing has taken yet. */
  async next(): Promise<Question> {
    const first = this.#questions.shift();
    if (first !== undefined) return first;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== "POST") {
      const isList = request.url === "/v1/models";
      respondJson(response, isList ? 200 : 404, isList ? { object: "list", data: [{ id: "tiny" }] } : {});
      return;
    }
    const body = await bodyOf(request);
    if (body.length === 0) {
      // A worker that looks which endpoints are there: it is no question.
      response.writeHead(404).end();
      return;
    }
    const question = new Question(body, response);
    const taker = this.#waiting.shift();
    if (this.automatic !== undefined) this.automatic(question);
    else if (taker === undefined) this.#questions.push(question);
    else taker(question);
  }
}
