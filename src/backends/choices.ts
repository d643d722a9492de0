import type { NeutralRequest } from "../core/chat.ts";
import type { SlotLender } from "./backend.ts";

/** Number of answers that a request wants per prompt. */
export function choicesPerPrompt(request: NeutralRequest): number {
  return "choices" in request ? (request.choices ?? 1) : 1;
}

/** Number of answers that a request wants in total. */
export function choicesOf(request: NeutralRequest): number {
  const further = "morePrompts" in request ? (request.morePrompts ?? []).length : 0;
  return (1 + further) * choicesPerPrompt(request);
}

/**
 * The request for one of its choices, which are numbered prompt by prompt. Each choice of a prompt gets its own seed,
 * if there is a seed: equal seeds would give equal answers.
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
  /** Absent: the choices run one after another. */
  readonly lender: SlotLender | undefined;
  /** Stops all choices. */
  readonly signal: AbortSignal;
  /** Runs one choice, counted from 0, to its end. The signal stops it. */
  readonly run: (choice: number, signal: AbortSignal) => Promise<void>;
}

/**
 * Runs the choices of a task. The task's own slot runs one after another. Whenever it begins one, free slots of the
 * backend are borrowed for others.
 *
 * The first failure stops the other choices. Rejects with its reason when all have ended.
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
    // The fault of the first failed run wins over the reason of the outer signal.
    this.#stop.signal.throwIfAborted();
    this.#signal.throwIfAborted();
  }

  #isMore(): boolean {
    return this.#next < this.#options.choices && !this.#signal.aborted;
  }

  /** Borrows free slots, each for one run, so that a waiting task can get the slot next. */
  #borrow(): void {
    const { lender } = this.#options;
    while (this.#isMore() && lender?.borrow() === true) {
      const run = this.#runNext().finally(() => {
        lender.returnSlot();
        this.#borrowed.delete(run);
      });
      this.#borrowed.add(run);
    }
  }

  /** Never rejects. A failure stops all runs. */
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
