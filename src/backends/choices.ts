import type { NeutralRequest } from "../core/chat.ts";
import type { SlotLender } from "./backend.ts";

/** How many answers a request wants to each of its prompts. */
export function choicesPerPrompt(request: NeutralRequest): number {
  return "choices" in request ? (request.choices ?? 1) : 1;
}

/** How many answers a request wants in all. */
export function choicesOf(request: NeutralRequest): number {
  const further = "morePrompts" in request ? (request.morePrompts ?? []).length : 0;
  return (1 + further) * choicesPerPrompt(request);
}

/**
 * The request for one of its choices, counted prompt by prompt. Where it has a seed each choice of a prompt has its
 * own, else all would be the same.
 */
export function requestOfChoice<T extends NeutralRequest>(request: T, choice: number): T {
  if (choice === 0) return request;
  const perPrompt = choicesPerPrompt(request);
  return withSeedOf(withPrompt(request, Math.floor(choice / perPrompt)), choice % perPrompt);
}

function withPrompt<T extends NeutralRequest>(request: T, index: number): T {
  const prompt = "morePrompts" in request ? request.morePrompts?.[index - 1] : undefined;
  return prompt === undefined ? request : { ...request, prompt };
}

function withSeedOf<T extends NeutralRequest>(request: T, choice: number): T {
  if (choice === 0 || !("sampling" in request)) return request;
  const { seed } = request.sampling;
  if (seed === undefined || seed < 0) return request;
  return { ...request, sampling: { ...request.sampling, seed: seed + choice } };
}

export interface ChoicesOptions {
  readonly choices: number;
  /** Absent: the choices are run one after another. */
  readonly lender: SlotLender | undefined;
  /** Stops all of them. */
  readonly signal: AbortSignal;
  /** Runs one choice, from 0, until its end; the signal stops it. */
  readonly run: (choice: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs the choices of a task: on its own slot one after another, and whenever one begins there, others beside it on
 * the slots that are free. The first that fails stops the others; rejects with its reason when all have ended.
 */
export async function runChoices(options: ChoicesOptions): Promise<void> {
  if (options.choices === 1) return options.run(0, options.signal);
  await new ChoiceRuns(options).run();
}

class ChoiceRuns {
  readonly #options: ChoicesOptions;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #borrowed = new Set<Promise<void>>();
  #next = 0;

  constructor(options: ChoicesOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#stop.signal]);
  }

  async run(): Promise<void> {
    while (this.#isMore()) {
      const own = this.#runNext();
      // Tasks that were claimed together with this one take their slots first.
      await Promise.resolve();
      this.#borrow();
      await own;
    }
    await Promise.all(this.#borrowed);
    // What the first failed run said, before the reason of whoever stopped it.
    this.#stop.signal.throwIfAborted();
    this.#signal.throwIfAborted();
  }

  #isMore(): boolean {
    return this.#next < this.#options.choices && !this.#signal.aborted;
  }

  /** A slot is given back after one run: in between, a task that waits may get it. */
  #borrow(): void {
    const { lender } = this.#options;
    while (this.#isMore() && lender?.borrow() === true) {
      const run = this.#runNext().finally(() => {
        lender.giveBack();
        this.#borrowed.delete(run);
      });
      this.#borrowed.add(run);
    }
  }

  /** Never rejects: a failure stops all. */
  async #runNext(): Promise<void> {
    const choice = this.#next;
    this.#next += 1;
    try {
      await this.#options.run(choice, this.#signal);
    } catch (error) {
      this.#stop.abort(error);
    }
  }
}
