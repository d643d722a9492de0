import http from "node:http";
import https from "node:https";
import type { ChatRequest, Part } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import { isObject } from "../core/json.ts";
import type { Usage } from "../core/usage.ts";
import { ollamaClient } from "../protocols/ollama/client.ts";
import { openaiClient } from "../protocols/openai/client.ts";
import { OPENAI_PROFILES } from "../protocols/openai/profiles.ts";
import type { BackendRequest, ClientFace } from "../protocols/protocol.ts";
import { chatModel } from "./first-model.ts";

/** The APIs that can be measured. */
export type BenchDialect = "ollama" | "openai";

export interface TargetOptions {
  /** Base URL of a server, without the path of its API. */
  readonly url: string;
  readonly dialect: BenchDialect;
  /** Empty when none is needed. */
  readonly key: string;
  /** Connections kept open. */
  readonly connections: number;
}

/** What one answer was, as it came. */
export interface Answer {
  /** Absent when the server does not tell. */
  readonly usage: Usage | undefined;
}

interface Api {
  readonly face: ClientFace;
  /** Where models are listed, and under which names. */
  readonly list: { readonly path: string; readonly field: string; readonly name: string };
}

const APIS: Readonly<Record<BenchDialect, Api>> = {
  ollama: { face: ollamaClient, list: { path: "/api/tags", field: "models", name: "name" } },
  openai: {
    face: openaiClient(OPENAI_PROFILES.openai),
    list: { path: "/v1/models", field: "data", name: "id" },
  },
};

/** What errors of the connection mean for somebody who gave a URL. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was closed without an answer; is it http or https, and the right port?",
  EHOSTUNREACH: "that machine cannot be reached from here",
  ENETUNREACH: "that machine cannot be reached from here",
  ENOTFOUND: "there is no machine of this name",
  EPROTO: "no TLS is spoken there: write http://",
  ETIMEDOUT: "that machine does not answer",
};

/** A server that is asked over kept connections, and whose replies are read by its own API. */
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

  /** The first model that the server lists and that can chat. Rejects with a sentence for people when there is none. */
  async firstModel(): Promise<string> {
    const { path, field, name } = this.#api.list;
    const response = await this.#request({ path, body: "" }, "GET");
    const text = Buffer.concat(await response.toArray()).toString();
    const { statusCode } = response;
    if (statusCode !== 200) {
      const advice = statusCode === 401 ? ": it wants a key, --api-key or SGNET_API_KEY" : "";
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
   * Asks one thing and reads the whole answer.
   *
   * @param onPart is called with each part as it comes
   * Rejects with the Fault of a refusal, of an error within the answer, or of one that is not complete.
   */
  async ask(
    request: ChatRequest,
    options: { readonly model: string; readonly stream: boolean },
    onPart: (part: Part) => void,
  ): Promise<Answer> {
    const { face } = this.#api;
    const response = await this.#request(face.encode(request, options), "POST");
    const status = response.statusCode ?? 0;
    if (status !== 200) throw face.readError(status, Buffer.concat(await response.toArray()), undefined);
    const reader = face.reader({ request, stream: options.stream });
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

  /** Closes all connections; what is being asked is rejected. */
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
        reject(new Fault("backend_unreachable", `${url}: ${reasonOf(error)}.`, { cause: error })),
      );
      sent.end(body);
    });
  }
}

/** The first line alone: OpenSSL's go on about its own source. */
function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  const [line = ""] = message.split("\n");
  return (code === undefined ? undefined : REASONS[code]) ?? line;
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
