import type { Ambient } from "../core/ambient.ts";

/** Pause after an answered own request: the first and the longest (ms). */
const PAUSE_MIN_MS = 2000;
const PAUSE_MAX_MS = 30_000;

/** Paces the worker's own requests that failures of unproven cause ask for: one at a time, with growing pauses. */
export class OwnRequestPace {
  readonly #ambient: Pick<Ambient, "mono">;
  #isUnderWay = false;
  /** Mono ms before which none begins. */
  #notBefore: number = -Infinity;
  #pauseMs = 0;

  constructor(ambient: Pick<Ambient, "mono">) {
    this.#ambient = ambient;
  }

  /** Returns true when an own request may begin now. It then counts as under way. */
  begin(): boolean {
    if (this.#isUnderWay || this.#ambient.mono() < this.#notBefore) return false;
    this.#isUnderWay = true;
    return true;
  }

  /** The request under way failed. */
  failed(): void {
    this.#isUnderWay = false;
  }

  /** The request under way was answered: the backend works, and the next pause is longer. */
  answered(): void {
    this.#isUnderWay = false;
    this.#pauseMs = Math.min(PAUSE_MAX_MS, Math.max(PAUSE_MIN_MS, 2 * this.#pauseMs));
    this.#notBefore = this.#ambient.mono() + this.#pauseMs;
  }

  /** The request under way proved nothing. */
  unclear(): void {
    this.#isUnderWay = false;
    this.#notBefore = this.#ambient.mono() + PAUSE_MIN_MS;
  }

  /** The circuit opened: the next own request needs no pause. */
  reset(): void {
    this.#pauseMs = 0;
    this.#notBefore = -Infinity;
  }
}
