import http from "node:http";
import https from "node:https";
import type { ChatRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import { isObject } from "../core/json.ts";
import type { Usage } from "../core/usage.ts";
import { ollamaClientCodec } from "../protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../protocols/openai/profiles.ts";
import type { BackendRequest, ClientCodec } from "../protocols/codec.ts";
import { chatModel } from "./first-model.ts";

/** The APIs that can be measured. */
export type BenchDialect = "ollama" | "openai";

export interface TargetOptions {
  /** Base URL of a server, without its API path. */
  readonly url: string;
  readonly dialect: BenchDialect;
  /** API key; empty when the server needs none. */
  readonly key: string;
  /** Connections kept open. */
  readonly connections: number;
}

/** Facts of one answer. */
export interface BenchAnswer {
  /** Absent when the server does not report it. */
  readonly usage: Usage | undefined;
}

interface Api {
  readonly codec: ClientCodec;
  /** Path of the list of models, and the names of its fields. */
  readonly list: { readonly path: string; readonly field: string; readonly name: string };
}

const APIS: Readonly<Record<BenchDialect, Api>> = {
  ollama: { codec: ollamaClientCodec, list: { path: "/api/tags", field: "models", name: "name" } },
  openai: {
    codec: openaiClientCodec(OPENAI_PROFILES.openai),
    list: { path: "/v1/models", field: "data", name: "id" },
  },
};

/** Connection errors, explained to a user who gave a URL. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was closed without an answer; check http or https, and the port",
  EHOSTUNREACH: "that machine cannot be reached from here",
  ENETUNREACH: "that machine cannot be reached from here",
  ENOTFOUND: "no machine has this name",
  EPROTO: "the server does not use TLS: write http://",
  ETIMEDOUT: "that machine does not answer",
};

/** A server under test, over kept connections. Its replies are read by its own API. */
export class BenchTarget {
  readonly #options: TargetOptions;
  readonly #api: Api;
  readonly #agent: http.Agent;
  readonly #send: typeof http.request;

  constructor(options: TargetOptions) {
    const tls = options.url.startsWith("https:");
    const agent = { keepAlive: true, maxSockets: options.connections };
    this.#options = options;
    this.#api = APIS[options.dialect];
    this.#agent = tls ? new https.Agent(agent) : new http.Agent(agent);
    this.#send = tls ? https.request : http.request;
  }

  /** The first listed model that can chat. Rejects with a sentence for people when there is none. */
  async firstModel(): Promise<string> {
    const { path, field, name } = this.#api.list;
    const response = await this.#request({ path, body: "" }, "GET");
    const text = Buffer.concat(await response.toArray()).toString();
    const { statusCode } = response;
    if (statusCode !== 200) {
      const advice = statusCode === 401 ? ": it requires a key, --api-key or SGNET_API_KEY" : "";
      throw new Error(`${this.#options.url} answers ${path} with ${statusCode}${advice}.`);
    }
    const list = parsed(text);
    const models = isObject(list) ? list[field] : undefined;
    const names = (Array.isArray(models) ? models : []).map((model) => isObject(model) && model[name]);
    const found = chatModel(names.filter((its) => typeof its === "string"));
    if (found === undefined) throw new Error(`${this.#options.url} lists no model: name one with --model.`);
    return found;
  }

  /**
   * Sends one request and reads the whole answer. Rejects with the Fault of a refusal, of an error within the answer,
   * or of a truncated answer.
   * @param onPart called with each part as it comes
   */
  async ask(
    request: ChatRequest,
    options: { readonly model: string; readonly stream: boolean },
    onPart: (part: Part) => void,
  ): Promise<BenchAnswer> {
    const { codec } = this.#api;
    const response = await this.#request(codec.encode(request, options), "POST");
    const status = response.statusCode ?? 0;
    if (status !== 200) throw codec.readError(status, Buffer.concat(await response.toArray()), undefined);
    const reader = codec.reader({ request, stream: options.stream });
    let usage: Usage | undefined;
    const take = (parts: Iterable<Part>): void => {
      for (const part of parts) {
        if (part.type === "end") usage = part.usage;
        onPart(part);
      }
    };
    try {
      for await (const chunk of response) take(reader.push(chunk as Buffer));
    } catch (error) {
      throw error instanceof Fault
        ? error
        : new Fault("backend_lost", "the connection broke", { cause: error });
    }
    take(reader.end());
    return { usage };
  }

  /** Closes all connections. Open requests reject. */
  close(): void {
    this.#agent.destroy();
  }

  #request({ path, body }: BackendRequest, method: "GET" | "POST"): Promise<http.IncomingMessage> {
    const { url, key } = this.#options;
    const headers = {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
    };
    return new Promise((resolve, reject) => {
      const sent = this.#send(new URL(path, url), { method, headers, agent: this.#agent }, resolve);
      sent.once("error", (error) =>
        reject(new Fault("backend_unreachable", `${url}: ${connectionProblem(error)}.`, { cause: error })),
      );
      sent.end(body);
    });
  }
}

/** The first line of the message: OpenSSL's further lines name its own source. */
function connectionProblem({ code, message }: NodeJS.ErrnoException): string {
  const [line = ""] = message.split("\n");
  return (code === undefined ? undefined : REASONS[code]) ?? line;
}

/** The parsed JSON; undefined for other text. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
