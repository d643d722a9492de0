import type { IncomingMessage, ServerResponse } from "node:http";
import { EventEmitter } from "node:events";
import { bodyOf, LocalServer, respondJson } from "../local-server.ts";

/**
 * A scriptable stand-in for an LLM server: speaks Ollama and OpenAI, answers `t0 t1 t2 …`, and misbehaves on
 * demand. Every generation is recorded, and what happens to it can be waited for.
 */

/** Course of generations. May be changed between requests through {@link StandIn.behaviour}. */
export interface Behaviour {
  /** Ms before the first token. */
  firstTokenMs: number;
  /** A generation that is asked for while this is set says nothing before it opens. */
  gate: Promise<void> | undefined;
  /** Ms between tokens; 0 sends them all at once. */
  tokenMs: number;
  /** Tokens per answer, unless the request says `num_predict`, `max_tokens` or `max_completion_tokens`. */
  tokens: number;
  /** The socket is destroyed after this many tokens; 0 is before the head of the reply. */
  dieAfter: number | undefined;
  /** Ms that Ollama's counts say its model took to load; no time passes by it. */
  loadMs: number;
  /** After this many tokens nothing more comes, and the connection stays open; 0 is before the head. */
  hangAfter: number | undefined;
  /** Fixed replies to a POST at a path, byte for byte, instead of tokens; by the body where it is a function. */
  answers: Readonly<Record<string, FixedAnswer | ((body: Record<string, unknown>) => FixedAnswer)>>;
  /** Words and pace of a generation by the body of its request. Takes precedence over the fields above. */
  script: ((body: Record<string, unknown>) => Script) | undefined;
  /** More generations at once are refused with 503, as by a server that is full. */
  capacity: number | undefined;
  /** Every generation is refused. */
  refuse: Refusal | undefined;
  /** Generations are refused by the body of their request, unless {@link refuse} is set. */
  refuseIf: ((body: Record<string, unknown>) => Refusal | undefined) | undefined;
}

export interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly retryAfter?: number;
}

export interface FixedAnswer {
  readonly contentType: string;
  readonly body: string;
}

export interface Script {
  readonly firstTokenMs: number;
  readonly tokenMs: number;
  /** The n-th token, from 0, with the space that follows it. */
  word(index: number): string;
}

export interface StandInOptions extends Partial<Behaviour> {
  /** Which APIs are spoken; both when absent. */
  readonly speaks?: "ollama" | "openai" | "both";
  /** Model names; `tiny:latest` when absent. */
  readonly models?: readonly string[];
  /** The port to listen on; a free one when absent. */
  readonly port?: number;
  /** Server header of every reply. */
  readonly server?: string;
  /** JSON documents by GET path, before all others; a number is a status without a body. */
  readonly documents?: Readonly<Record<string, unknown>>;
}

/** A generation as the stand-in saw it. */
export interface Recorded {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  /** The body, byte for byte. */
  readonly raw: string;
  readonly body: Record<string, unknown>;
  /** Tokens sent so far. */
  tokens: number;
  outcome: "open" | "finished" | "aborted" | "died" | "refused";
  /** Monotonic ms of the request. */
  readonly startedAt: number;
  /** Monotonic ms of the outcome. */
  endedAt: number;
}

export type StandInEvent = "request" | "token" | "finished" | "aborted" | "died" | "refused";

export interface StandIn {
  readonly url: string;
  readonly port: number;
  readonly behaviour: Behaviour;
  readonly requests: readonly Recorded[];
  /** Generations running now, and the most that ever ran at once. */
  readonly running: number;
  readonly peak: number;
  /** Emits each event with its {@link Recorded}. */
  readonly events: EventEmitter;
  /** Resolves once an event has happened `times` times since the start; rejects after a minute. */
  waitFor(event: StandInEvent, times?: number): Promise<Recorded>;
  /** Hangs up all connections and closes. Idempotent. */
  stop(): Promise<void>;
}

const CALM: Behaviour = {
  firstTokenMs: 0,
  gate: undefined,
  tokenMs: 0,
  tokens: 4,
  loadMs: 1,
  dieAfter: undefined,
  hangAfter: undefined,
  answers: {},
  script: undefined,
  capacity: undefined,
  refuse: undefined,
  refuseIf: undefined,
};

const FULL: Refusal = { status: 503, message: "server busy, please try again" };

export const STAND_IN_DIGEST: string = "ab".repeat(32);
const MODIFIED = "2026-11-22T19:59:56.718097983Z";

/** A test may mock the timers in the middle of a wait: the limit that was set before must still be cleared. */
const REAL_TIMERS = { setTimeout, clearTimeout };

/** Starts a stand-in on a loopback port. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const standIn = new ScriptedServer(options);
  await standIn.listen(options.port ?? 0);
  return standIn;
}

class ScriptedServer implements StandIn {
  readonly behaviour: Behaviour;
  readonly requests: Recorded[] = [];
  readonly events: EventEmitter = new EventEmitter();
  running = 0;
  peak = 0;
  readonly #options: StandInOptions;
  readonly #server: LocalServer;
  readonly #happened = new Map<string, Recorded[]>();

  constructor(options: StandInOptions) {
    this.#options = options;
    this.behaviour = { ...CALM };
    for (const key of Object.keys(CALM) as (keyof Behaviour)[]) {
      if (options[key] !== undefined) Object.assign(this.behaviour, { [key]: options[key] });
    }
    this.events.setMaxListeners(0);
    this.#server = new LocalServer((request, response) => void this.#serve(request, response));
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return this.#server.url;
  }

  async listen(port: number): Promise<void> {
    await this.#server.listen(port);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  waitFor(event: StandInEvent, times = 1): Promise<Recorded> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.#happened.get(event)?.[times - 1];
        if (found === undefined) return;
        REAL_TIMERS.clearTimeout(limit);
        this.events.off(event, look);
        resolve(found);
      };
      const limit = REAL_TIMERS.setTimeout(() => {
        this.events.off(event, look);
        reject(new Error(`the stand-in did not see "${event}" ${times} times in a minute`));
      }, 60_000);
      this.events.on(event, look);
      look();
    });
  }

  tell(event: StandInEvent, recorded: Recorded): void {
    const list = this.#happened.get(event);
    if (list === undefined) this.#happened.set(event, [recorded]);
    else list.push(recorded);
    this.events.emit(event, recorded);
  }

  end(recorded: Recorded, outcome: Exclude<Recorded["outcome"], "open">): void {
    if (recorded.outcome !== "open") return;
    recorded.outcome = outcome;
    recorded.endedAt = performance.now();
    this.running -= 1;
    this.tell(outcome, recorded);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#options.server !== undefined) response.setHeader("server", this.#options.server);
    const path = (request.url ?? "/").replace(/\?.*$/, "");
    if (request.method !== "POST") {
      this.#document(path, response);
      return;
    }
    const raw = await bodyOf(request);
    this.#generation({ request, response, path, raw });
  }

  #document(path: string, response: ServerResponse): void {
    const speaks = this.#options.speaks ?? "both";
    const own = this.#options.documents ?? {};
    const found = Object.hasOwn(own, path)
      ? own[path]
      : documentOf(path, speaks, this.#options.models ?? ["tiny:latest"]);
    if (found === undefined || typeof found === "number") {
      respondJson(response, found ?? 404, { error: { message: "not found", code: found ?? 404 } });
    } else if (path === "/" && typeof found === "string") {
      response.writeHead(200, { "content-type": "text/plain" }).end(found);
    } else respondJson(response, 200, found);
  }

  #generation(exchange: {
    request: IncomingMessage;
    response: ServerResponse;
    path: string;
    raw: Buffer;
  }): void {
    const { request, response, path } = exchange;
    const form = formOf(path, this.#options.speaks ?? "both");
    const found = this.behaviour.answers[path];
    if (form === undefined && found === undefined) {
      respondJson(response, 404, { error: "404 page not found" });
      return;
    }
    const raw = exchange.raw.toString();
    const body = parsed(raw);
    if (body === undefined) {
      respondJson(response, 400, { error: "invalid JSON" });
      return;
    }
    const answer = typeof found === "function" ? found(body) : found;
    const recorded: Recorded = {
      path,
      headers: request.headers,
      raw,
      body,
      tokens: 0,
      outcome: "open",
      startedAt: performance.now(),
      endedAt: 0,
    };
    this.requests.push(recorded);
    this.running += 1;
    this.peak = Math.max(this.peak, this.running);
    this.tell("request", recorded);
    if (answer !== undefined) {
      response.on("close", () => this.end(recorded, response.writableFinished ? "finished" : "aborted"));
      response.writeHead(200, { "content-type": answer.contentType }).end(answer.body);
    } else if (form !== undefined) new Generation({ standIn: this, recorded, response, form }).start();
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** The format of an answer of one dialect and endpoint. */
interface Form {
  readonly dialect: "ollama" | "openai";
  readonly type: { readonly stream: string; readonly whole: string };
  chunk(model: string, text: string): string;
  last(model: string, tokens: number, more: { readonly usage: boolean; readonly loadMs: number }): string;
  whole(model: string, text: string, tokens: number, body: Record<string, unknown>): string;
  /** True for what is never streamed, whatever the request says. */
  readonly alwaysWhole?: boolean;
}

class Generation {
  readonly #standIn: ScriptedServer;
  readonly #recorded: Recorded;
  readonly #response: ServerResponse;
  readonly #form: Form;
  readonly #model: string;
  readonly #stream: boolean;
  readonly #limit: number;
  readonly #script: Script;
  readonly #loadMs: number;
  #timer: NodeJS.Timeout | undefined;
  /** Written, but not sent yet. */
  #due = "";

  constructor(options: {
    standIn: ScriptedServer;
    recorded: Recorded;
    response: ServerResponse;
    form: Form;
  }) {
    const { body } = options.recorded;
    this.#standIn = options.standIn;
    this.#recorded = options.recorded;
    this.#response = options.response;
    this.#form = options.form;
    this.#model = String(body["model"]);
    const asked = options.form.dialect === "ollama" ? body["stream"] !== false : body["stream"] === true;
    this.#stream = asked && options.form.alwaysWhole !== true;
    const { behaviour } = options.standIn;
    this.#limit = askedTokens(body) ?? behaviour.tokens;
    this.#loadMs = behaviour.loadMs;
    this.#script = behaviour.script?.(body) ?? new CountingScript(behaviour);
    this.#response.on("close", () => {
      clearTimeout(this.#timer);
      this.#standIn.end(this.#recorded, this.#response.writableFinished ? "finished" : "aborted");
    });
  }

  start(): void {
    const { capacity = Infinity, refuseIf } = this.#standIn.behaviour;
    const full = this.#standIn.running > capacity ? FULL : undefined;
    const refuse = this.#standIn.behaviour.refuse ?? refuseIf?.(this.#recorded.body) ?? full;
    if (refuse !== undefined) {
      const { status, message, retryAfter } = refuse;
      if (retryAfter !== undefined) this.#response.setHeader("retry-after", String(retryAfter));
      const error = this.#form.dialect === "ollama" ? message : { message, type: "error", code: status };
      respondJson(this.#response, status, { error });
      this.#standIn.end(this.#recorded, "refused");
      return;
    }
    const begin = (): void => this.#later(this.#script.firstTokenMs, () => this.#step());
    const { gate } = this.#standIn.behaviour;
    if (gate === undefined) begin();
    else void gate.then(begin);
  }

  /** Sends what is due: one token, or without gaps all of them as one chunk. */
  #step(): void {
    const { tokenMs } = this.#script;
    if (tokenMs > 0) {
      if (this.#goesOn()) {
        this.#token();
        this.#flush();
        this.#later(tokenMs, () => this.#step());
      }
      return;
    }
    while (this.#goesOn()) this.#token();
    this.#flush();
  }

  /** True when the next thing to send is a token; else does what comes instead. */
  #goesOn(): boolean {
    const { dieAfter, hangAfter } = this.#standIn.behaviour;
    const { outcome, tokens } = this.#recorded;
    if (outcome !== "open" || tokens === hangAfter) return false;
    if (tokens === dieAfter) this.#die();
    else if (tokens >= this.#limit) this.#finish();
    else return true;
    return false;
  }

  #token(): void {
    if (this.#stream) this.#due += this.#form.chunk(this.#model, this.#script.word(this.#recorded.tokens));
    this.#recorded.tokens += 1;
    this.#standIn.tell("token", this.#recorded);
  }

  #flush(): void {
    if (this.#due === "") return;
    this.#head(this.#form.type.stream);
    this.#response.write(this.#due);
    this.#due = "";
  }

  #finish(): void {
    const { tokens, body } = this.#recorded;
    const options = body["stream_options"] as { include_usage?: boolean } | undefined;
    this.#head(this.#stream ? this.#form.type.stream : this.#form.type.whole);
    this.#response.end(
      this.#stream
        ? this.#due +
            this.#form.last(this.#model, tokens, {
              usage: options?.include_usage === true,
              loadMs: this.#loadMs,
            })
        : this.#form.whole(this.#model, textOf(this.#script, tokens), tokens, body),
    );
    this.#due = "";
  }

  /** Breaks the connection in the next turn of the loop: bytes already written leave in this one. */
  #die(): void {
    this.#flush();
    this.#standIn.end(this.#recorded, "died");
    setImmediate(() => this.#response.socket?.destroy());
  }

  #head(contentType: string): void {
    if (!this.#response.headersSent) this.#response.writeHead(200, { "content-type": contentType });
  }

  #later(ms: number, run: () => void): void {
    if (ms > 0) this.#timer = setTimeout(run, ms);
    else run();
  }
}

/** Says `t0 t1 t2 …` as quickly as the behaviour says at the moment. */
class CountingScript implements Script {
  readonly #behaviour: Behaviour;

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
  }

  get firstTokenMs(): number {
    return this.#behaviour.firstTokenMs;
  }

  get tokenMs(): number {
    return this.#behaviour.tokenMs;
  }

  word(index: number): string {
    return `t${index} `;
  }
}

function textOf(script: Pick<Script, "word">, tokens: number): string {
  return Array.from({ length: tokens }, (_, index) => script.word(index)).join("");
}

/** The text of an answer of so many tokens. */
export function standInText(tokens: number): string {
  return textOf({ word: (index) => `t${index} ` }, tokens);
}

/** The vector of an input as the model makes it: float32 numbers, not of length 1. */
export function standInVector(input: unknown): number[] {
  const seed = Buffer.from(JSON.stringify(input ?? "")).reduce((sum, byte) => sum + byte, 0);
  return Array.from({ length: 8 }, (_, index) => Math.fround(Math.sin(seed + index) * 3));
}

/** The vector cut and then of length 1. */
export function unitVector(vector: readonly number[], dimensions: number = vector.length): number[] {
  const cut = vector.slice(0, dimensions);
  const length = Math.hypot(...cut);
  return cut.map((value) => value / length);
}

function inputsOf({ input }: Record<string, unknown>): unknown[] {
  // Numbers are the tokens of one input.
  return Array.isArray(input) && typeof input[0] !== "number" ? input : [input];
}

/** Upper bound of the tokens of an answer, whatever the request asks for. */
const MOST_TOKENS = 100_000;

function askedTokens(body: Record<string, unknown>): number | undefined {
  const options = body["options"] as Record<string, unknown> | undefined;
  const asked = body["max_completion_tokens"] ?? body["max_tokens"] ?? options?.["num_predict"];
  return typeof asked === "number" && asked >= 0 ? Math.min(asked, MOST_TOKENS) : undefined;
}

function documentOf(path: string, speaks: string, models: readonly string[]): unknown {
  if (speaks !== "openai") {
    if (path === "/") return "Ollama is running";
    if (path === "/api/version") return { version: "0.33.0" };
    if (path === "/api/tags") return { models: models.map(tagOf) };
    if (path === "/api/ps") return { models: models.slice(0, 1).map(tagOf) };
  }
  if (speaks !== "ollama" && path === "/v1/models") {
    const data = models.map((id) => ({ id, object: "model", created: 1_795_378_294, owned_by: "us" }));
    return { object: "list", data };
  }
  return undefined;
}

function tagOf(name: string): unknown {
  const details = {
    parent_model: "",
    format: "gguf",
    family: "llama",
    families: ["llama"],
    parameter_size: "134.52M",
    quantization_level: "Q4_1",
    context_length: 8192,
  };
  const digest = STAND_IN_DIGEST;
  return {
    name,
    model: name,
    modified_at: MODIFIED,
    size: 98_362_745,
    digest,
    details,
    capabilities: ["completion", "tools"],
  };
}

function formOf(path: string, speaks: string): Form | undefined {
  if (path.startsWith("/v1/")) return speaks === "ollama" ? undefined : OPENAI_FORMS.get(path);
  if (speaks === "openai") return undefined;
  if (path === "/api/chat") return ollamaForm((content) => ({ message: { role: "assistant", content } }));
  if (path === "/api/generate") return ollamaForm((response) => ({ response }));
  if (path === "/api/embed") return OLLAMA_EMBED;
  if (path === "/api/embeddings") return OLLAMA_EMBEDDINGS;
  return undefined;
}

const ollamaEnd = (tokens: number, loadMs = 1): object => ({
  done: true,
  done_reason: "stop",
  total_duration: 9_000_000,
  load_duration: loadMs * 1_000_000,
  prompt_eval_count: 7,
  prompt_eval_duration: 3_000_000,
  eval_count: tokens,
  eval_duration: 5_000_000,
});

function ollamaForm(carry: (text: string) => object): Form {
  const line = (model: string, text: string, more: object): string => {
    return `${JSON.stringify({ model, created_at: MODIFIED, ...carry(text), ...more })}\n`;
  };
  return {
    dialect: "ollama",
    type: { stream: "application/x-ndjson", whole: "application/json; charset=utf-8" },
    chunk: (model, text) => line(model, text, { done: false }),
    last: (model, tokens, { loadMs }) => line(model, "", ollamaEnd(tokens, loadMs)),
    whole: (model, text, tokens) => line(model, text, ollamaEnd(tokens)).trimEnd(),
  };
}

const usageOf = (tokens: number): object => ({
  prompt_tokens: 7,
  completion_tokens: tokens,
  total_tokens: 7 + tokens,
});

const openaiObject = (object: string, model: string, rest: object): string => {
  return JSON.stringify({ id: "chatcmpl-1", object, created: 1_795_378_294, model, ...rest });
};

const openaiEvent = (model: string, choices: readonly object[], more: object = {}): string => {
  return `data: ${openaiObject("chat.completion.chunk", model, { choices, ...more })}\n\n`;
};

/** The stream format of an endpoint that never streams: nothing calls it. */
const WHOLE_ONLY = {
  type: { stream: "application/json", whole: "application/json" },
  chunk: () => "",
  last: () => "",
  alwaysWhole: true,
} as const;

const OLLAMA_EMBED: Form = {
  ...WHOLE_ONLY,
  dialect: "ollama",
  whole: (model, _text, _tokens, body) => {
    const dimensions = body["dimensions"] as number | undefined;
    const embeddings = inputsOf(body).map((input) => unitVector(standInVector(input), dimensions));
    const more = { total_duration: 9_000_000, load_duration: 1_000_000, prompt_eval_count: 7 };
    return JSON.stringify({ model, embeddings, ...more });
  },
};

const OLLAMA_EMBEDDINGS: Form = {
  ...WHOLE_ONLY,
  dialect: "ollama",
  whole: (_model, _text, _tokens, { prompt }) => JSON.stringify({ embedding: standInVector(prompt) }),
};

/** Knows no dimensions, and sends the last vector first. */
const OPENAI_EMBEDDINGS: Form = {
  ...WHOLE_ONLY,
  dialect: "openai",
  whole: (model, _text, _tokens, body) => {
    const data = inputsOf(body).map((input, index) => {
      const vector = standInVector(input);
      const compact = Buffer.from(new Float32Array(vector).buffer).toString("base64");
      const embedding = body["encoding_format"] === "base64" ? compact : vector;
      return { object: "embedding", embedding, index };
    });
    const usage = { prompt_tokens: 7, total_tokens: 7 };
    return JSON.stringify({ object: "list", data: data.toReversed(), model, usage });
  },
};

const textEvent = (model: string, choices: readonly object[], more: object = {}): string => {
  return `data: ${openaiObject("text_completion", model, { choices, ...more })}\n\n`;
};

const OPENAI_TEXT: Form = {
  dialect: "openai",
  type: { stream: "text/event-stream", whole: "application/json" },
  chunk: (model, text) => textEvent(model, [{ index: 0, text, logprobs: null, finish_reason: null }]),
  last: (model, tokens, { usage }) => {
    const finish = textEvent(model, [{ index: 0, text: "", logprobs: null, finish_reason: "stop" }]);
    const counted = usage ? textEvent(model, [], { usage: usageOf(tokens) }) : "";
    return `${finish}${counted}data: [DONE]\n\n`;
  },
  whole: (model, text, tokens) => {
    const choices = [{ index: 0, text, logprobs: null, finish_reason: "stop" }];
    return openaiObject("text_completion", model, { choices, usage: usageOf(tokens) });
  },
};

const OPENAI_CHAT: Form = {
  dialect: "openai",
  type: { stream: "text/event-stream", whole: "application/json" },
  chunk: (model, content) => {
    return openaiEvent(model, [{ index: 0, delta: { role: "assistant", content }, finish_reason: null }]);
  },
  last: (model, tokens, { usage }) => {
    const finish = openaiEvent(model, [{ index: 0, delta: {}, finish_reason: "stop" }]);
    const counted = usage ? openaiEvent(model, [], { usage: usageOf(tokens) }) : "";
    return `${finish}${counted}data: [DONE]\n\n`;
  },
  whole: (model, content, tokens) => {
    const message = { role: "assistant", content };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    return openaiObject("chat.completion", model, { choices, usage: usageOf(tokens) });
  },
};

const OPENAI_FORMS: ReadonlyMap<string, Form> = new Map([
  ["/v1/chat/completions", OPENAI_CHAT],
  ["/v1/completions", OPENAI_TEXT],
  ["/v1/embeddings", OPENAI_EMBEDDINGS],
]);
