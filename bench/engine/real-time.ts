/** Drives simulated time by the machine's clock, at a given speed. */
import type { Timeline } from "./timeline.ts";

/** Timers reach no further, ms. Work that is due later is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class RealTime {
  readonly #timeline: Timeline;
  /** Simulated ms per real ms. */
  readonly speed: number;
  readonly #startedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(timeline: Timeline, speed = 1) {
    this.#timeline = timeline;
    this.speed = speed;
  }

  /** Runs the due actions, then `action` at the present time, and schedules what follows. */
  enter<Result>(action: () => Result): Result {
    this.#timeline.advance((performance.now() - this.#startedAt) * this.speed);
    try {
      return action();
    } finally {
      this.#arm();
    }
  }

  /** Time passes only with {@link enter} from now on. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const next = this.#timeline.nextMs;
    if (next === undefined || this.#isStopped) return;
    const inMs = next / this.speed + this.#startedAt - performance.now();
    this.#timer = setTimeout(
      () => this.enter(() => undefined),
      Math.min(Math.max(0, inMs), LONGEST_TIMER_MS),
    );
  }
}
