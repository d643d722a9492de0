import { setImmediate as nextTurn } from "node:timers/promises";
import type { LlamaContextSequence, LlamaGrammar, SequenceEvaluateOptions, Token } from "node-llama-cpp";
import type { Ambient } from "../../core/ambient.ts";
import type { EndReason, Format, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { choicesOf, choicesPerPrompt, requestOfChoice } from "../choices.ts";
import { promptTokens, type TextRequest } from "./prompt.ts";
import { BATCH_SIZE, type Runtime } from "./runtime.ts";
import { samplerOf } from "./sampler.ts";
import { grammarSchema } from "./schema.ts";
import { StopFilter } from "./stop-filter.ts";
import { TokenText } from "./token-text.ts";

/** A checked request that is ready for a slot. */
export interface Plan {
  readonly request: TextRequest;
  readonly prompt: readonly Token[];
  /** Most tokens to generate. */
  readonly limit: number;
  readonly grammar: LlamaGrammar | undefined;
}

/** End mark of the package's grammars. It is no part of the answer. */
const GRAMMAR_END = "\n\n\n\n";
const NS_PER_MS = 1e6;

/** Makes a plan for each choice of a request. Throws as promptTokens does, and `unsupported` for a format. */
export async function plansOf(runtime: Runtime, request: TextRequest): Promise<readonly Plan[]> {
  const prompts = await readPrompts(runtime, request);
  const grammar = await grammarOf(runtime, request.format);
  const perPrompt = choicesPerPrompt(request);
  return prompts.flatMap((prompt, index) => {
    const limit = limitOf(runtime, request, prompt);
    return Array.from({ length: perPrompt }, (_, choice) => {
      return { request: requestOfChoice(request, index * perPrompt + choice), prompt, limit, grammar };
    });
  });
}

/** Tokenizes the prompts. The tokenizer blocks the process, so the event loop runs between two prompts. */
async function readPrompts(runtime: Runtime, request: TextRequest): Promise<readonly Token[][]> {
  const prompts: Token[][] = [];
  for (let choice = 0; choice < choicesOf(request); choice += choicesPerPrompt(request)) {
    if (choice > 0) await nextTurn();
    prompts.push(promptTokens(runtime, requestOfChoice(request, choice)));
  }
  return prompts;
}

function limitOf({ contextSize }: Runtime, { sampling }: TextRequest, prompt: readonly Token[]): number {
  const room = contextSize - prompt.length;
  const asked = sampling.maxTokens ?? 0;
  return asked > 0 ? Math.min(asked, room) : room;
}

async function grammarOf({ llama }: Runtime, format: Format | undefined): Promise<LlamaGrammar | undefined> {
  if (format === undefined) return undefined;
  if (format.type === "json") return llama.getGrammarFor("json");
  const schema = grammarSchema(format.schema);
  try {
    return await llama.createGrammarForJsonSchema(schema as { type: "object" });
  } catch (error) {
    throw new Fault("unsupported", "the embedded model cannot follow this schema", { cause: error });
  }
}

export interface Generation {
  readonly runtime: Runtime;
  /** Empty, and reserved for this generation until it has ended. */
  readonly slot: LlamaContextSequence;
  readonly plan: Plan;
  /** Checked before each native call: one token, or one batch of the prompt. */
  readonly signal: AbortSignal;
  readonly ambient: Ambient;
}

/** Runs a plan on a slot. Throws the signal's reason when it aborts. */
export async function* generate(generation: Generation): AsyncGenerator<Part, void, void> {
  const { runtime, plan, signal, ambient } = generation;
  const { model } = runtime;
  const started = ambient.mono();
  const text = new TokenText((tokens, before) => model.detokenize(tokens, false, before));
  const stops = new StopFilter(stopsOf(plan));
  const generated: Token[] = [];
  let reason: EndReason = "stop";
  let stopped = false;
  let firstAt: number | undefined;
  await evaluatePrompt(generation);
  for await (const token of generation.slot.evaluate(
    plan.prompt.slice(-1),
    optionsOf(generation, generated),
  )) {
    signal.throwIfAborted();
    firstAt ??= ambient.mono();
    generated.push(token);
    const piece = stops.push(text.push(token));
    if (piece.text !== "") yield { type: "text-delta", text: piece.text };
    stopped = piece.stopped;
    if (!stopped && generated.length >= plan.limit) reason = "length";
    if (stopped || reason === "length") break;
  }
  signal.throwIfAborted();
  const rest = stopped ? "" : restOf(stops, text);
  if (rest !== "") yield { type: "text-delta", text: rest };
  yield endPart({ plan, reason, generated, started, firstAt, ended: ambient.mono() });
}

/**
 * Evaluates the prompt without its last token, batch by batch. Equal prompts are split equally, so that rounding is
 * equal.
 */
async function evaluatePrompt({ slot, plan, signal }: Generation): Promise<void> {
  for (let from = 0; from < plan.prompt.length - 1; from += BATCH_SIZE) {
    signal.throwIfAborted();
    const to = Math.min(from + BATCH_SIZE, plan.prompt.length - 1);
    await slot.evaluateWithoutGeneratingNewTokens(plan.prompt.slice(from, to));
  }
  signal.throwIfAborted();
}

function optionsOf({ runtime, plan, ambient }: Generation, generated: Token[]): SequenceEvaluateOptions {
  const sampler = samplerOf({
    sampling: plan.request.sampling,
    generated,
    random: () => ambient.random(),
  });
  if (plan.grammar === undefined) return sampler;
  const { LlamaGrammarEvaluationState } = runtime.library;
  const state = new LlamaGrammarEvaluationState({ model: runtime.model, grammar: plan.grammar });
  return { ...sampler, grammarEvaluationState: state };
}

function stopsOf({ request, grammar }: Plan): readonly string[] {
  const asked = request.sampling.stop ?? [];
  return grammar === undefined ? asked : [...asked, GRAMMAR_END];
}

/** The held text, after the model has ended or reached its limit. */
function restOf(stops: StopFilter, text: TokenText): string {
  const last = stops.push(text.end());
  return last.stopped ? last.text : last.text + stops.end();
}

interface Ending {
  readonly plan: Plan;
  readonly reason: EndReason;
  readonly generated: readonly Token[];
  /** Monotonic ms. */
  readonly started: number;
  /** Absent when the answer was empty. */
  readonly firstAt: number | undefined;
  readonly ended: number;
}

function endPart({ plan, reason, generated, started, firstAt, ended }: Ending): Part {
  const evaluatedAt = firstAt ?? ended;
  const { prompt, request } = plan;
  const end = {
    type: "end",
    reason,
    usage: { promptTokens: prompt.length, completionTokens: generated.length },
    timings: {
      total: nanoseconds(ended - started),
      promptEval: nanoseconds(evaluatedAt - started),
      eval: nanoseconds(ended - evaluatedAt),
    },
  } as const;
  if (request.kind === "chat" || request.raw) return end;
  return { ...end, context: [...prompt, ...generated] };
}

function nanoseconds(ms: number): number {
  return Math.round(ms * NS_PER_MS);
}
