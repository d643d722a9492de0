import type { LlamaContextSequence, LlamaEmbeddingContext } from "node-llama-cpp";
import { resolvedCacheDir } from "../../config/load.ts";
import type { Settings } from "../../config/settings.ts";
import { systemAmbient, type Ambient } from "../../core/ambient.ts";
import type { LoadRequest, NeutralRequest, Part } from "../../core/chat.ts";
import { Fault, toFault } from "../../core/fault.ts";
import { modelKey, type ModelCard } from "../../core/model.ts";
import type { Task } from "../../core/task.ts";
import type { Log } from "../../telemetry/log.ts";
import { answerCount, AnswerWriter, parseTask } from "../answer.ts";
import type {
  Answer,
  Backend,
  BackendState,
  Backpressure,
  AttemptProgress,
  ReplySink,
  SlotLender,
  Source,
} from "../backend.ts";
import { choicesOf, runChoices } from "../choices.ts";
import { cardOf } from "./card.ts";
import { droppedFields } from "./dropped-fields.ts";
import { embed, openEmbedder, readInputs } from "./embed.ts";
import { generate, plansOf } from "./generate.ts";
import { loadLibrary } from "./library.ts";
import { promptTokens, refuseUnsupported } from "./prompt.ts";
import { loadRuntime, type Runtime } from "./runtime.ts";
import { SlotPool } from "./slots.ts";
import { findWeights } from "./weights.ts";

export interface EmbeddedOptions {
  readonly settings: Pick<Settings, "embeddedModel" | "embeddedSlots" | "cacheDir">;
  readonly log: Log;
  readonly ambient?: Ambient;
}

/**
 * Opens the model in this process. It finds or downloads the library and the weights and loads them, so that the first
 * task does not wait.
 *
 * Throws one sentence:
 * - `model_not_found` when the configured file is not a model,
 * - `backend_unreachable` when library or weights cannot be downloaded,
 * - `not_implemented` when node-llama-cpp does not run here.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Backend> {
  const { settings, log, ambient = systemAmbient } = options;
  const library = await loadLibrary(resolvedCacheDir(settings));
  const weights = await findWeights(settings);
  const started = ambient.mono();
  const runtime = await loadRuntime({ library, path: weights.path, slots: settings.embeddedSlots, log });
  const card = await cardOf(runtime, weights);
  const loadMs = Math.round(ambient.mono() - started);
  log.info("embedded model loaded", { model: card.name, slots: settings.embeddedSlots, loadMs });
  return new EmbeddedBackend({ runtime, card, ambient });
}

interface Parts {
  readonly runtime: Runtime;
  readonly card: ModelCard;
  readonly ambient: Ambient;
}

/** Begins a run of a checked request on an empty slot. */
type Start = (
  slot: LlamaContextSequence,
  options: { readonly choice: number; readonly signal: AbortSignal },
) => AsyncGenerator<Part, void, void>;

/** An answer on its way to the client. */
interface Answering {
  readonly writer: AnswerWriter;
  readonly choices: number;
  readonly progress: AttemptProgress;
  readonly backpressure: Backpressure | undefined;
  readonly signal: AbortSignal;
}

class EmbeddedBackend implements Backend {
  readonly name = "embedded";
  readonly kind = "embedded";
  readonly url = "";
  #lender: SlotLender | undefined;
  readonly #runtime: Runtime;
  readonly #card: ModelCard;
  readonly #ambient: Ambient;
  readonly #slots: SlotPool<LlamaContextSequence>;
  readonly #closing = new AbortController();
  /** Runs in progress. These promises never reject. */
  readonly #running = new Set<Promise<unknown>>();
  #embedder: Promise<LlamaEmbeddingContext> | undefined;
  #closed: Promise<void> | undefined;

  constructor({ runtime, card, ambient }: Parts) {
    this.#runtime = runtime;
    this.#card = card;
    this.#ambient = ambient;
    this.#slots = new SlotPool(runtime.slots);
  }

  useLender(lender: SlotLender | undefined): void {
    this.#lender = lender;
  }

  inspect(): Promise<BackendState> {
    return Promise.resolve({ models: [this.#card], slots: this.#runtime.slots.length });
  }

  /** Runs a task. Load and unload requests are only answered, as the model is always loaded. */
  async run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    this.#closing.signal.throwIfAborted();
    if (modelKey(model) !== this.#card.key) {
      throw new Fault("model_not_found", `model '${task.model}' not found`);
    }
    const opened = parseTask(task);
    const writer = new AnswerWriter(opened, sink, {
      now: () => this.#ambient.now(),
      dropped: droppedFields(opened.request),
    });
    const { request } = opened;
    if (request.kind === "load") {
      writer.write([{ type: "end", reason: request.unload ? "unload" : "load" }]);
      return writer.finish();
    }
    if (opened.endpoint.counts && request.kind === "chat") {
      refuseUnsupported(request, task.model);
      return answerCount(writer, promptTokens(this.#runtime, request).length);
    }
    const { progress, backpressure } = sink;
    const answering = { writer, choices: choicesOf(request), progress, backpressure, signal };
    const work = this.#start(request, task).then((start) => {
      sink.progress.sent();
      return this.#answer(start, answering);
    });
    const settled = work.catch(() => undefined);
    this.#running.add(settled);
    try {
      return await work;
    } catch (error) {
      throw faultOf(error, signal);
    } finally {
      this.#running.delete(settled);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Checks a request completely, before it waits for a slot. */
  async #start(request: Exclude<NeutralRequest, LoadRequest>, task: Task): Promise<Start> {
    const runtime = this.#runtime;
    const ambient = this.#ambient;
    if (request.kind !== "embed") {
      refuseUnsupported(request, task.model);
      const plans = await plansOf(runtime, request);
      return (slot, { choice, signal }) => {
        const plan = plans[choice];
        if (plan === undefined) throw new TypeError(`the request has no choice ${choice}`);
        return generate({ runtime, slot, plan, signal, ambient });
      };
    }
    const inputs = readInputs(runtime, request);
    const context = await this.#openEmbedder();
    return (_slot, { signal }) => embed({ context, inputs, request, signal, ambient });
  }

  /** Opens the embedder at the first request for vectors: most processes get none. */
  #openEmbedder(): Promise<LlamaEmbeddingContext> {
    this.#embedder ??= openEmbedder(this.#runtime).catch((error: unknown) => {
      this.#embedder = undefined;
      throw error;
    });
    return this.#embedder;
  }

  /** Runs a request on slots. Embeddings take one too, although they need none: this limits the parallel native calls. */
  async #answer(
    start: Start,
    { writer, choices, progress, backpressure, signal }: Answering,
  ): Promise<Answer> {
    const run = async (choice: number, stop: AbortSignal): Promise<void> => {
      const slot = await this.#slots.take(stop);
      try {
        for await (const part of start(slot, { choice, signal: stop })) {
          progress.alive();
          writer.write([part], choice);
          if (backpressure?.paused === true) await released(backpressure);
        }
      } finally {
        await slot.clearHistory();
        this.#slots.release(slot);
      }
    };
    const stop = AbortSignal.any([signal, this.#closing.signal]);
    await runChoices({ choices, lender: this.#lender, signal: stop, run });
    return writer.finish();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Fault("draining", "the worker is stopping"));
    await Promise.all(this.#running);
    await this.#runtime.llama.dispose();
  }
}

/** Resolves when the backpressure ends, or when the run must stop. */
async function released(backpressure: Backpressure): Promise<void> {
  await new Promise<void>((resolve) => {
    const source: Source = {
      pause: () => {},
      resume: () => {
        backpressure.detach(source);
        resolve();
      },
    };
    backpressure.attach(source);
  });
}

/** The fault of a failed run. An aborted run is cancelled, for any reason of the signal. */
function faultOf(error: unknown, signal: AbortSignal): Fault {
  if (error instanceof Fault || !signal.aborted) return toFault(error);
  return new Fault("cancelled", "the request was cancelled", { cause: error });
}
