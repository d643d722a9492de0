import type { Station } from "./station.ts";

export interface RestingOptions {
  readonly mono: () => number;
  /** Tasks of a model may be taken again by the stations that gave them back. */
  readonly onOver: (model: string) => void;
}

interface Rest {
  readonly model: string;
  /** Mono ms until which each station leaves the task to others. */
  readonly until: Map<Station, number>;
}

/**
 * Tasks that stations of this worker have handed back and leave to others for a while. Only this worker knows of it:
 * when it is lost, its tasks rest no longer.
 */
export class Resting {
  readonly #options: RestingOptions;
  /** By queue entry and model. */
  readonly #rests = new Map<string, Rest>();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;

  constructor(options: RestingOptions) {
    this.#options = options;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timerAt = -Infinity;
  }

  /** The station does not take the task again for so long. */
  add(task: { readonly model: string; readonly entry: string }, station: Station, restMs: number): void {
    const { model, entry } = task;
    const until = this.#options.mono() + restMs;
    const key = `${entry} ${model}`;
    const rest = this.#rests.get(key) ?? { model, until: new Map() };
    rest.until.set(station, until);
    this.#rests.set(key, rest);
    this.#wakeAt(until);
  }

  /** True while the station leaves the task to others. */
  has(task: { readonly model: string; readonly entry: string }, station: Station): boolean {
    if (this.#rests.size === 0) return false;
    const until = this.#rests.get(`${task.entry} ${task.model}`)?.until.get(station);
    return until !== undefined && until > this.#options.mono();
  }

  /** One timer serves all, for the one that ends first. */
  #wakeAt(at: number): void {
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    // A timer may be early by a fraction of a millisecond.
    this.#timer = setTimeout(
      () => {
        this.#end();
      },
      Math.ceil(at - this.#options.mono()) + 1,
    );
  }

  #end(): void {
    this.#timerAt = Infinity;
    const now = this.#options.mono();
    const over = new Set<string>();
    let next = Infinity;
    for (const [key, { model, until }] of this.#rests) {
      for (const [station, end] of until) {
        if (end > now) next = Math.min(next, end);
        else {
          until.delete(station);
          over.add(model);
        }
      }
      if (until.size === 0) this.#rests.delete(key);
    }
    if (next < Infinity) this.#wakeAt(next);
    for (const model of over) this.#options.onOver(model);
  }
}
