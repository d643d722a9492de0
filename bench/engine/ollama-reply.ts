/** Replies of the simulated engine by Ollama's API, field for field as Ollama 0.33 was recorded. */
import { createHash } from "node:crypto";
import type { AnswerReport } from "./engine.ts";
import type { Runner } from "./scheduler.ts";
import type { SimModel } from "./spec.ts";

const MODIFIED = "2026-11-22T19:59:56.718097983Z";
/** Ollama's word for ever, as its list of loaded models has it. */
const FOR_EVER = "2319-03-04T19:50:50.067850584Z";

const DETAILS = {
  parent_model: "",
  format: "gguf",
  family: "llama",
  families: ["llama"],
  parameter_size: "7B",
  quantization_level: "Q4_K_M",
};

/** The endpoint of a reply. */
export type ReplyForm = "chat" | "generate";

/** The counts at the end of an answer; `speed` turns simulated into real time. */
function countsOf(report: AnswerReport, speed: number): object {
  const ns = (ms: number): number => Math.round((ms / speed) * 1e6);
  return {
    total_duration: ns(report.totalMs),
    load_duration: ns(report.loadMs),
    prompt_eval_count: report.promptTokens,
    prompt_eval_duration: ns(report.prefillMs),
    eval_count: report.tokens,
    eval_duration: ns(report.decodeMs),
  };
}

/** Token `index` of any answer. */
export function wordOf(index: number): string {
  return `t${index} `;
}

/** Texts of one answer. @param model as the client wrote it */
export class ReplyText {
  readonly #form: ReplyForm;
  readonly #model: string;

  constructor(form: ReplyForm, model: string) {
    this.#form = form;
    this.#model = model;
  }

  /** A line of a stream with one token. */
  token(index: number): string {
    return `${this.#line(wordOf(index), { done: false })}\n`;
  }

  /** The last line of a stream. */
  last(report: AnswerReport, speed: number): string {
    return `${this.#line("", { done: true, done_reason: "length", ...countsOf(report, speed) })}\n`;
  }

  /** The whole answer in one piece. */
  whole(report: AnswerReport, speed: number): string {
    const text = Array.from({ length: report.tokens }, (_, index) => wordOf(index)).join("");
    return this.#line(text, { done: true, done_reason: "length", ...countsOf(report, speed) });
  }

  /** The answer to a request that had no prompt. */
  empty(reason: "load" | "unload"): string {
    return this.#line("", { done: true, done_reason: reason });
  }

  #line(text: string, rest: object): string {
    const said =
      this.#form === "chat" ? { message: { role: "assistant", content: text } } : { response: text };
    return JSON.stringify({ model: this.#model, created_at: new Date().toISOString(), ...said, ...rest });
  }
}

/** The entry of a model in `/api/tags`. */
export function tagOf({ name, bytes }: SimModel): object {
  return {
    name,
    model: name,
    modified_at: MODIFIED,
    size: bytes,
    digest: digestOf(name),
    details: { ...DETAILS, context_length: 131_072, embedding_length: EMBEDDING.length },
    capabilities: ["completion"],
  };
}

/** The entry of a loaded model in `/api/ps`. @param expiresAt ms since 1970; undefined: never */
export function loadedOf({ model, bytes, options }: Runner, expiresAt: number | undefined): object {
  return {
    name: model.name,
    model: model.name,
    size: bytes,
    digest: digestOf(model.name),
    details: DETAILS,
    expires_at: expiresAt === undefined ? FOR_EVER : new Date(expiresAt).toISOString(),
    size_vram: bytes,
    context_length: options.numCtx,
  };
}

/** Returns the reply of `/api/show` on a model. */
export function cardOf({ name }: SimModel): object {
  return {
    modelfile: `FROM ${name}\n`,
    parameters: "",
    template: "{{ .Prompt }}",
    details: DETAILS,
    model_info: { "general.architecture": "llama", "llama.context_length": 131_072 },
    capabilities: ["completion"],
    modified_at: MODIFIED,
  };
}

/** The vector of every text. Its length is 1. */
const EMBEDDING: readonly number[] = Array.from({ length: 16 }, () => 0.25);

/** Returns the reply of `/api/embed`. */
export function embedOf(model: string, inputs: number, report: AnswerReport, speed: number): object {
  return {
    model,
    embeddings: Array.from({ length: inputs }, () => EMBEDDING),
    total_duration: Math.round((report.totalMs / speed) * 1e6),
    load_duration: Math.round((report.loadMs / speed) * 1e6),
    prompt_eval_count: report.promptTokens,
  };
}

function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex");
}
