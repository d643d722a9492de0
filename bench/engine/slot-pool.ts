/** Execution of the requests of one loaded model: slots, one prompt at a time, tokens at the pace of the batch. */
import { PrefixCache, tokensOf } from "./prefix-cache.ts";
import type { EngineSpec, SimModel } from "./spec.ts";
import type { ScheduledEvent, Timeline } from "./timeline.ts";

/** The cost of a request at its runner; times in simulated ms. */
export interface WorkReport {
  readonly promptTokens: number;
  /** Prompt tokens that the prefix cache had. */
  readonly cachedTokens: number;
  readonly tokens: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** A request at its runner. */
export interface Work {
  readonly prompt: string;
  /** To generate; 0 only processes the prompt. */
  readonly tokens: number;
  onToken(index: number): void;
  onEnd(report: WorkReport): void;
}

/** A work with a slot. */
interface Running {
  readonly work: Work;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly prefillMs: number;
  made: number;
  decodeFromMs: number;
  timer: ScheduledEvent | undefined;
}

/** The works of one runner. A work ends by itself, or by {@link leave}. */
export class SlotPool {
  readonly #timeline: Timeline;
  readonly #model: SimModel;
  readonly #cache: PrefixCache;
  readonly #waiting: Work[] = [];
  readonly #running = new Map<Work, Running>();
  /** With a slot, their prompts to be processed one after the other; the first is being processed. */
  readonly #prefilling: Running[] = [];
  #decoding = 0;

  constructor(timeline: Timeline, model: SimModel, spec: EngineSpec) {
    this.#timeline = timeline;
    this.#model = model;
    this.#cache = new PrefixCache(spec.blockTokens, spec.cacheBlocks);
  }

  /** Works with a slot. */
  get busy(): number {
    return this.#running.size;
  }

  /** Works that wait for a slot. */
  get deferred(): number {
    return this.#waiting.length;
  }

  enter(work: Work): void {
    this.#waiting.push(work);
    this.#fill();
  }

  /** Ends a work early; one that has ended stays as it is. */
  leave(work: Work): void {
    const at = this.#waiting.indexOf(work);
    if (at >= 0) this.#waiting.splice(at, 1);
    const running = this.#running.get(work);
    if (running !== undefined) this.#free(running);
  }

  #fill(): void {
    while (this.#running.size < this.#model.slots) {
      const work = this.#waiting.shift();
      if (work === undefined) return;
      const running = this.#begin(work);
      this.#running.set(work, running);
      this.#prefilling.push(running);
      if (this.#prefilling.length === 1) this.#prefill(running);
    }
  }

  #begin(work: Work): Running {
    const promptTokens = tokensOf(work.prompt);
    // The last token is always processed: the first new one comes of it.
    const cachedTokens = Math.min(this.#cache.enter(work.prompt), promptTokens - 1);
    const prefillMs = ((promptTokens - cachedTokens) / this.#model.prefillRate) * 1000;
    return { work, promptTokens, cachedTokens, prefillMs, made: 0, decodeFromMs: 0, timer: undefined };
  }

  #prefill(running: Running): void {
    running.timer = this.#timeline.after(running.prefillMs, () => {
      this.#nextPrompt();
      running.decodeFromMs = this.#timeline.nowMs;
      if (running.work.tokens === 0) {
        this.#end(running);
        return;
      }
      this.#decoding += 1;
      this.#decode(running);
    });
  }

  #nextPrompt(): void {
    this.#prefilling.shift();
    const [next] = this.#prefilling;
    if (next !== undefined) this.#prefill(next);
  }

  #decode(running: Running): void {
    const { tokenMs, batchCost } = this.#model;
    running.timer = this.#timeline.after(tokenMs * (1 + batchCost * (this.#decoding - 1)), () => {
      running.made += 1;
      running.work.onToken(running.made - 1);
      if (running.timer === undefined) return; // it left at this token
      if (running.made < running.work.tokens) this.#decode(running);
      else this.#end(running);
    });
  }

  #end(running: Running): void {
    const { work, promptTokens, cachedTokens, prefillMs, made, decodeFromMs } = running;
    const decodeMs = this.#timeline.nowMs - decodeFromMs;
    this.#free(running);
    work.onEnd({ promptTokens, cachedTokens, tokens: made, prefillMs, decodeMs });
  }

  #free(running: Running): void {
    running.timer?.cancel();
    running.timer = undefined;
    this.#running.delete(running.work);
    const at = this.#prefilling.indexOf(running);
    if (at === 0) this.#nextPrompt();
    else if (at > 0) this.#prefilling.splice(at, 1);
    else if (running.work.tokens > 0) this.#decoding -= 1;
    this.#fill();
  }
}
