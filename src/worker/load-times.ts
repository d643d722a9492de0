export interface LoadLimits {
  /** How long the first task of a model that is not loaded waits while others are served, ms; 0: by its load. */
  readonly swapWaitMs: number;
  /** How long a model stays while others wait, ms; 0: by its load. */
  readonly swapResidencyMs: number;
}

/** A model waits for so many times its load, within these, ms. */
const WAIT_LOADS = 4;
const WAIT_MIN_MS = 2000;
const WAIT_MAX_MS = 60_000;

/** It stays for so many times its load, and for so long at least, ms. */
const RESIDENCY_LOADS = 2;
const RESIDENCY_MIN_MS = 2000;

/** Clients that ask again at once need some ms for it: a tenth of a load is waited for them, and no longer than this. */
const LINGER_LOADS = 0.1;
const LINGER_MAX_MS = 100;

/** A load that took less than this part of what is known was none: the model was there. */
const NO_LOAD = 0.1;

interface Took {
  readonly ms: number;
  /** The load time known before the last load (ms); undefined when none was. */
  readonly before: number | undefined;
  /** The most that the backend has said of the last load; 0 when it has said nothing. */
  readonly said: number;
}

/** How long the loads of models take, as measured, and the times that follow from it. A load not seen yet counts as 0. */
export class LoadTimes {
  readonly #limits: LoadLimits;
  readonly #took = new Map<string, Took>();

  constructor(limits: LoadLimits) {
    this.#limits = limits;
  }

  /** Forgets all other models. */
  keep(models: ReadonlySet<string>): void {
    for (const model of this.#took.keys()) if (!models.has(model)) this.#took.delete(model);
  }

  /** The model was loaded, in so many ms: half of what is known comes from the last time. */
  took(model: string, ms: number): void {
    const before = this.#took.get(model)?.ms;
    if (before !== undefined && ms < NO_LOAD * before) return;
    this.#took.set(model, { ms: blend(before, ms), before, said: 0 });
  }

  /**
   * The backend itself says how long an answer waited for the last load (ms), without the work on the prompt. Answers
   * that came in the middle of it have waited for less.
   */
  corrected(model: string, ms: number): void {
    const took = this.#took.get(model);
    if (took === undefined || ms <= took.said || ms < NO_LOAD * took.ms) return;
    this.#took.set(model, { ms: blend(took.before, ms), before: took.before, said: ms });
  }

  /** Ms; 0 when no load was seen. */
  loadMs(model: string): number {
    return this.#took.get(model)?.ms ?? 0;
  }

  waitMs(model: string): number {
    const { swapWaitMs } = this.#limits;
    if (swapWaitMs > 0) return swapWaitMs;
    return Math.min(WAIT_MAX_MS, Math.max(WAIT_MIN_MS, WAIT_LOADS * this.loadMs(model)));
  }

  residencyMs(model: string): number {
    const { swapResidencyMs } = this.#limits;
    return swapResidencyMs > 0
      ? swapResidencyMs
      : Math.max(RESIDENCY_MIN_MS, RESIDENCY_LOADS * this.loadMs(model));
  }

  lingerMs(model: string): number {
    return Math.min(LINGER_MAX_MS, LINGER_LOADS * this.loadMs(model));
  }
}

function blend(before: number | undefined, ms: number): number {
  return before === undefined ? ms : (before + ms) / 2;
}
