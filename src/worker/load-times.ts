export interface LoadLimits {
  /** Longest wait of the first task of a cold model while others are served (ms); 0: by its load time. */
  readonly swapWaitMs: number;
  /** Shortest stay of a model while others wait (ms); 0: by its load time. */
  readonly swapResidencyMs: number;
}

/** Wait of a cold model, in load times, and its bounds (ms). */
const WAIT_LOADS = 4;
const WAIT_MIN_MS = 2000;
const WAIT_MAX_MS = 60_000;

/** Stay of a model, in load times, and its least (ms). */
const RESIDENCY_LOADS = 2;
const RESIDENCY_MIN_MS = 2000;

/** Wait for clients that send their next request at once, in load times, and its bound (ms). */
const LINGER_LOADS = 0.1;
const LINGER_MAX_MS = 100;

/** A load below this part of the known load time was none: the model was in memory. */
const NO_LOAD = 0.1;

interface Took {
  readonly ms: number;
  /** Load time as it was known before the last load (ms); undefined for none. */
  readonly before: number | undefined;
  /** Longest load time that the backend reported for the last load (ms); 0 for none. */
  readonly reported: number;
}

/** The measured load times of models, and the waits that follow from them. A load not seen yet counts as 0. */
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

  /** Records a load (ms). Half of the known load time comes from the last load. */
  took(model: string, ms: number): void {
    const before = this.#took.get(model)?.ms;
    if (before !== undefined && ms < NO_LOAD * before) return;
    this.#took.set(model, { ms: blend(before, ms), before, reported: 0 });
  }

  /**
   * Records the load time that the backend itself reports with an answer (ms), without the work on the prompt. A task
   * that came in the middle of the load waited for less.
   */
  corrected(model: string, ms: number): void {
    const took = this.#took.get(model);
    if (took === undefined || ms <= took.reported || ms < NO_LOAD * took.ms) return;
    this.#took.set(model, { ms: blend(took.before, ms), before: took.before, reported: ms });
  }

  /** The known load time (ms); 0 when no load was seen. */
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
