import type { Ambient } from "../core/ambient.ts";
import type { AttemptRegistry } from "./attempt-registry.ts";

/** Interval of the checks of all attempts (ms): the error of a limit. */
const CHECK_MS = 250;

/** Stops attempts that wait too long for their backend, and ends pauses that ran out. One timer serves all. */
export class AttemptTimeouts {
  readonly #attemptRegistry: Pick<AttemptRegistry, "all">;
  readonly #ambient: Pick<Ambient, "mono">;
  #timer: NodeJS.Timeout | undefined;

  constructor(attemptRegistry: Pick<AttemptRegistry, "all">, ambient: Pick<Ambient, "mono">) {
    this.#attemptRegistry = attemptRegistry;
    this.#ambient = ambient;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      const now = this.#ambient.mono();
      for (const attempt of this.#attemptRegistry.all()) attempt.check(now);
    }, CHECK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
