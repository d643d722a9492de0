import { type Agent, request } from "node:http";
import type { IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { type Asked, type ClientKey, type Dialect, type Ending, type Wish, wordOf } from "./history.ts";

const PATHS: Readonly<Record<Dialect, string>> = {
  "ollama-chat": "/api/chat",
  "ollama-generate": "/api/generate",
  "openai-chat": "/v1/chat/completions",
  "anthropic-messages": "/v1/messages",
};

type Json = Record<string, unknown>;

/** Asks, and tells what came in {@link Asked}, which is filled as it comes. Resolves at the end; never rejects. */
export async function ask(asked: Asked, url: string, agent: Agent | false): Promise<void> {
  const ending = await new Promise<Ending>((resolve) => {
    new Asking(asked, resolve).start(url, agent);
  });
  asked.ending = ending;
  asked.endedAt = performance.now();
}

/** The script for a backend, carried within the prompt. */
export function promptOf({ id, firstTokenMs, tokenMs, padding, ballast }: Wish): string {
  return `${JSON.stringify({ id, firstTokenMs, tokenMs, padding })}\n${"x".repeat(ballast)}`;
}

function bodyOf(wish: Wish): string {
  const { dialect, stream, tokens } = wish;
  const prompt = promptOf(wish);
  const messages = [{ role: "user", content: prompt }];
  const common = { model: "tiny", stream };
  if (dialect === "ollama-chat")
    return JSON.stringify({ ...common, messages, options: { num_predict: tokens } });
  if (dialect === "ollama-generate") {
    return JSON.stringify({ ...common, prompt, options: { num_predict: tokens } });
  }
  return JSON.stringify({ ...common, messages, max_tokens: tokens });
}

/** The credentials of a request; none without a key. */
export function headersOf(key: ClientKey | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key.secret}` };
}

/** One request over plain HTTP, which shows what a client library hides. */
class Asking {
  readonly #asked: Asked;
  readonly #resolve: (ending: Ending) => void;
  #rest = "";
  /** Text of which no whole token has come. */
  #text = "";
  #finished = false;
  #failed = false;
  #left = false;
  #leave: () => void = () => {};
  #leaveTimer: NodeJS.Timeout | undefined;

  constructor(asked: Asked, resolve: (ending: Ending) => void) {
    this.#asked = asked;
    this.#resolve = (ending) => {
      clearTimeout(this.#leaveTimer);
      resolve(ending);
    };
  }

  start(url: string, agent: Agent | false): void {
    const { wish, key } = this.#asked;
    const outgoing = request(url + PATHS[wish.dialect], {
      method: "POST",
      agent,
      headers: { "content-type": "application/json", "x-request-id": wish.id, ...headersOf(key) },
    });
    this.#leave = () => {
      this.#left = true;
      outgoing.destroy();
      this.#resolve("left");
    };
    if (wish.leave !== undefined) this.#leaveTimer = setTimeout(this.#leave, wish.leave.ms);
    outgoing.on("response", (incoming) => {
      this.#asked.status = incoming.statusCode ?? 0;
      void this.#read(incoming);
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      this.#asked.reused = outgoing.reusedSocket;
      this.#asked.detail ||= error.code ?? error.message;
      this.#resolve(error.code === "ECONNREFUSED" ? "unreachable" : this.#brokenOff());
    });
    outgoing.end(bodyOf(wish));
  }

  async #read(incoming: IncomingMessage): Promise<void> {
    const { wish, status } = this.#asked;
    const streamed = status === 200 && wish.stream;
    let whole = "";
    try {
      for await (const chunk of incoming.setEncoding("utf8") as AsyncIterable<string>) {
        if (streamed) this.#takePiece(chunk);
        else whole += chunk;
        if (this.#left) return;
        if (wish.readPauseMs > 0) await delay(wish.readPauseMs);
      }
      if (!streamed) this.#takeWhole(whole);
      this.#resolve(this.#ending());
    } catch (error) {
      this.#asked.detail ||= (error as NodeJS.ErrnoException).code ?? String(error);
      this.#resolve(this.#brokenOff());
    }
  }

  /** An error that was told is told, whatever the connection does after it. */
  #brokenOff(): Ending {
    return this.#failed ? "error" : "broken";
  }

  #ending(): Ending {
    if (this.#text !== "") this.#asked.deviation ??= `half a token: ${this.#text.slice(0, 80)}`;
    if (this.#failed) return "error";
    return this.#finished ? "complete" : "silent";
  }

  #takeWhole(body: string): void {
    const json = parse(body);
    if (json === undefined) {
      this.#asked.deviation ??= `no JSON: ${body.slice(0, 80)}`;
    } else if (this.#asked.status !== 200) {
      this.#fail(json);
    } else {
      this.#takeText(wholeText(this.#asked.wish.dialect, json));
      this.#finished = true;
    }
  }

  #takePiece(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const data = this.#asked.wish.dialect.startsWith("ollama") ? line : /^data: ?(.*)/.exec(line)?.[1];
      if (data !== undefined && data !== "") this.#takeData(data);
    }
  }

  #takeData(data: string): void {
    if (this.#finished) this.#asked.deviation ??= `after the end: ${data.slice(0, 80)}`;
    if (data === "[DONE]") {
      this.#finished = !this.#failed;
      return;
    }
    const json = parse(data);
    if (json === undefined) this.#asked.deviation ??= `no JSON: ${data.slice(0, 80)}`;
    else if (json["error"] !== undefined) this.#fail(json);
    else this.#takeEvent(json);
  }

  #takeEvent(json: Json): void {
    const { dialect } = this.#asked.wish;
    this.#takeText(pieceText(dialect, json));
    if (json["done"] === true || json["type"] === "message_stop") this.#finished = true;
  }

  #fail(json: Json): void {
    this.#failed = true;
    const { error } = json;
    if (error === undefined) this.#asked.deviation ??= "an error without its member";
    this.#asked.detail = typeof error === "string" ? error : JSON.stringify(error);
  }

  #takeText(text: string): void {
    if (text === "") return;
    const asked = this.#asked;
    asked.firstTokenAt ??= performance.now();
    if (this.#failed) asked.deviation ??= `text after an error: ${text.slice(0, 80)}`;
    const words = (this.#text + text).split(" ");
    this.#text = words.pop() ?? "";
    for (const word of words) {
      if (`${word} ` === wordOf(asked.wish, asked.tokens)) asked.tokens += 1;
      else asked.deviation ??= `${word.slice(0, 80)} instead of token ${asked.tokens}`;
    }
    const { leave } = asked.wish;
    if (leave !== undefined && asked.tokens >= leave.tokens) this.#leave();
  }
}

function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

const member = (value: unknown, name: string | number): unknown => (value as Json | undefined)?.[name];

function pieceText(dialect: Dialect, json: Json): string {
  if (dialect === "ollama-generate") return asText(json["response"]);
  if (dialect === "ollama-chat") return asText(member(json["message"], "content"));
  if (dialect === "anthropic-messages") return asText(member(json["delta"], "text"));
  return asText(member(member(member(json["choices"], 0), "delta"), "content"));
}

function wholeText(dialect: Dialect, json: Json): string {
  if (dialect === "anthropic-messages") return asText(member(member(json["content"], 0), "text"));
  if (dialect !== "openai-chat") return pieceText(dialect, json);
  return asText(member(member(member(json["choices"], 0), "message"), "content"));
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}
