/** An OpenAI-compatible server that answers one request at a time, a token for each call. */
import { EventEmitter, once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

export const MODEL = "stepped";

export class SteppedBackend {
  readonly #asked = new EventEmitter();
  readonly #server = http.createServer((request, response) => {
    this.#answer(request, response);
  });
  #response: http.ServerResponse | undefined;

  /** Listens on a free loopback port and returns it. */
  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when the next request has come whole. Call it before the request is sent. */
  async asked(): Promise<void> {
    await once(this.#asked, "request");
  }

  /** Sends one token to the request that came last. */
  token(): void {
    this.#event({
      id: "c",
      object: "chat.completion.chunk",
      model: MODEL,
      choices: [choice({ content: "word " })],
    });
  }

  /** Ends the answer. */
  end(): void {
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const choices = [{ ...choice({}), finish_reason: "stop" }];
    this.#event({ id: "c", object: "chat.completion.chunk", model: MODEL, choices, usage });
    this.#response?.end("data: [DONE]\n\n");
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    request.resume().once("end", () => {
      if (request.url === "/v1/models") {
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({ object: "list", data: [{ id: MODEL, object: "model" }] }));
      } else if (request.url === "/v1/chat/completions") {
        response.setHeader("content-type", "text/event-stream");
        this.#response = response;
        this.#asked.emit("request");
      } else response.writeHead(404).end();
    });
  }

  #event(value: object): void {
    this.#response?.write(`data: ${JSON.stringify(value)}\n\n`);
  }
}

function choice(delta: object): object {
  return { index: 0, delta, finish_reason: null };
}
