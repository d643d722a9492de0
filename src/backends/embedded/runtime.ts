import { availableParallelism } from "node:os";
import type { ChatWrapper, GgufFileInfo, Llama, LlamaContextSequence, LlamaModel } from "node-llama-cpp";
import { Fault } from "../../core/fault.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Library } from "./library.ts";

/** A loaded model. */
export interface Runtime {
  readonly library: Library;
  readonly llama: Llama;
  readonly model: LlamaModel;
  /** Writes a conversation in the form of the model's training. */
  readonly template: ChatWrapper;
  readonly slots: readonly LlamaContextSequence[];
  /** Most tokens of prompt and answer together per slot. */
  readonly contextSize: number;
  /** Most characters of one token. */
  readonly longestToken: number;
}

export interface RuntimeOptions {
  readonly library: Library;
  readonly path: string;
  readonly slots: number;
  readonly log: Log;
}

/** Tokens per slot. A model that was trained on less has less. */
const CONTEXT_SIZE = 4096;
/** More threads do not make a small model faster. */
const MAX_THREADS = 4;
/**
 * Tokens per native call. This limits the time until the abort signal is checked to about 0.3 s. Larger batches were at
 * most 7 % faster.
 */
export const BATCH_SIZE = 64;

/**
 * Loads a GGUF file on the CPU. It never builds or downloads native code. Throws `not_implemented` when the library's
 * binary does not run on this machine, and `internal` when the file cannot be loaded.
 */
export async function loadRuntime({ library, path, slots, log }: RuntimeOptions): Promise<Runtime> {
  const llama = await openLlama(library, log);
  try {
    const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
    const template = templateOf(library, model);
    const contextSize = Math.min(CONTEXT_SIZE, model.trainContextSize);
    const sequences = await openSlots(model, slots, contextSize);
    const longestToken = longestTokenOf(model);
    return { library, llama, model, template, slots: sequences, contextSize, longestToken };
  } catch (error) {
    await llama.dispose();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault("internal", `The embedded model ${path} cannot be loaded: ${reason}`, { cause: error });
  }
}

async function openLlama(library: Library, log: Log): Promise<Llama> {
  try {
    return await library.getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      progressLogs: false,
      maxThreads: availableParallelism(),
      logLevel: library.LlamaLogLevel.error,
      logger: (_level, message) => log.debug(message.trim()),
    });
  } catch (error) {
    throw new Fault(
      "not_implemented",
      "The embedded model's package node-llama-cpp has no binary that runs on this machine: set SGNET_EMBEDDED_MODEL=off.",
      { cause: error },
    );
  }
}

/**
 * Opens one native context per slot. A shared context evaluates several tasks in one batch, whose rounding depends on
 * the neighbours. It was not faster.
 *
 * The threads of a slot wait for each other by spinning, so they must not share a core. One core is left for everything
 * else, and no more native calls run at once than the cores carry. On two cores, two slots made 188 tokens/s with one
 * thread each, and 65 with two. Beside one busy process it was 136 and 11.
 */
async function openSlots(
  model: LlamaModel,
  count: number,
  contextSize: number,
): Promise<LlamaContextSequence[]> {
  const threads = threadsPerSlot();
  const slots: LlamaContextSequence[] = [];
  while (slots.length < count) {
    const context = await model.createContext({
      sequences: 1,
      contextSize,
      batchSize: BATCH_SIZE,
      threads,
    });
    slots.push(context.getSequence());
  }
  return slots;
}

/** Threads per native call: see openSlots. */
export function threadsPerSlot(): { readonly ideal: number; readonly min: number } {
  const threads = Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1));
  return { ideal: threads, min: threads };
}

function longestTokenOf({ fileInfo }: LlamaModel): number {
  return fileInfo.metadata.tokenizer.ggml.tokens.reduce((most, { length }) => Math.max(most, length), 1);
}

function templateOf(library: Library, model: LlamaModel): ChatWrapper {
  const template = chatTemplateOf(model.fileInfo);
  if (template === undefined) return library.resolveChatWrapper(model);
  return new library.JinjaTemplateChatWrapper({
    template,
    tokenizer: model.tokenizer,
    joinAdjacentMessagesOfTheSameType: false,
    trimLeadingWhitespaceInResponses: false,
  });
}

function chatTemplateOf({ metadata }: GgufFileInfo): string | undefined {
  const template: unknown = metadata.tokenizer?.chat_template;
  return typeof template === "string" && template !== "" ? template : undefined;
}
