import type { LlamaEmbeddingContext, Token } from "node-llama-cpp";
import type { Ambient } from "../../core/ambient.ts";
import type { EmbedInput, EmbedRequest, Part } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import { shapeVector } from "../../protocols/vectors.ts";
import { type Runtime, threadsPerSlot } from "./runtime.ts";

/**
 * Most tokens of an input. The vector is that of the last token, which needs one batch with all tokens before it. A
 * batch costs memory.
 */
const MOST_TOKENS = 512;
/** Tokens that the library adds: a first one, a last one, and one free position. */
const OWN_TOKENS = 3;
const ROOM = MOST_TOKENS - OWN_TOKENS;
const NS_PER_MS = 1e6;

/** Opens the context for embeddings, with the weights that are already loaded. */
export function openEmbedder({ model }: Runtime): Promise<LlamaEmbeddingContext> {
  const threads = threadsPerSlot().ideal;
  return model.createEmbeddingContext({ contextSize: MOST_TOKENS, batchSize: MOST_TOKENS, threads });
}

export interface Embedding {
  readonly context: LlamaEmbeddingContext;
  /** Tokens of the request, from {@link readInputs}. */
  readonly inputs: readonly (readonly Token[])[];
  readonly request: EmbedRequest;
  /** Checked before each input. */
  readonly signal: AbortSignal;
  readonly ambient: Ambient;
}

/** The vectors of a request, one by one, then the end. Throws the signal's reason when it aborts. */
export async function* embed(embedding: Embedding): AsyncGenerator<Part, void, void> {
  const { context, inputs, request, signal, ambient } = embedding;
  const started = ambient.mono();
  for (const [index, tokens] of inputs.entries()) {
    signal.throwIfAborted();
    const { vector } = await context.getEmbeddingFor([...tokens]);
    yield { type: "embedding", index, vector: shapeVector(vector, request) };
  }
  signal.throwIfAborted();
  const promptTokens = inputs.reduce((sum, { length }) => sum + length, 0);
  const total = Math.round((ambient.mono() - started) * NS_PER_MS);
  yield { type: "end", reason: "stop", usage: { promptTokens, completionTokens: 0 }, timings: { total } };
}

/**
 * The inputs as tokens, truncated where they are too long and may be truncated. Throws `invalid_request` in Ollama's
 * words.
 */
export function readInputs(runtime: Runtime, request: EmbedRequest): (readonly Token[])[] {
  return request.inputs.map((input) => readInput(runtime, input, request.truncate !== false));
}

function readInput({ model, longestToken }: Runtime, input: EmbedInput, mayCut: boolean): readonly Token[] {
  if (typeof input !== "string") throw new Fault("unsupported", "invalid input type");
  // The tokenizer blocks the process, so it gets no more text than can fit.
  const seen = input.slice(0, (ROOM + 1) * longestToken);
  const tokens = model.tokenize(seen);
  if (tokens.length === 0) {
    throw new Fault(
      "invalid_request",
      "input exceeds maximum context length and cannot be truncated further",
    );
  }
  if (tokens.length <= ROOM) return tokens;
  if (!mayCut) throw new Fault("invalid_request", "the input length exceeds the context length");
  return tokens.slice(0, ROOM);
}
