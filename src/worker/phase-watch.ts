import type { Roll } from "./roll.ts";

/** How often the attempts in hand are looked at, ms: what a limit can be late. */
const LOOK_MS = 250;

/** Gives up attempts that wait too long for their backend, and ends holds that ran out. One timer for all of them. */
export class PhaseWatch {
  readonly #roll: Pick<Roll, "all">;
  readonly #mono: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(roll: Pick<Roll, "all">, mono: () => number) {
    this.#roll = roll;
    this.#mono = mono;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#look();
    }, LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = this.#mono();
    for (const attempt of this.#roll.all()) attempt.look(now);
  }
}
