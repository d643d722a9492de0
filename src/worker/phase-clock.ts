import type { Pulse } from "../backends/backend.ts";
import { Fault } from "../core/fault.ts";
import type { PhaseLimits } from "../core/timeouts.ts";

/** What an attempt waits for: a connection, the first piece of the answer, the next one. */
type Wait = "nothing" | "connection" | "first" | "next";

/**
 * Knows for how long an attempt has waited for its backend. Pieces of the answer only raise a flag: the time is that
 * of the next look, so that a token costs no clock and no timer.
 */
export class PhaseClock implements Pulse {
  readonly #mono: () => number;
  readonly #stream: boolean;
  #wait: Wait = "nothing";
  /** Mono ms. */
  #since = 0;
  #stirred = false;

  /** @param options.stream false: pieces come when the answer is complete, so only the connection is waited for here */
  constructor(options: { readonly mono: () => number; readonly stream: boolean }) {
    this.#mono = options.mono;
    this.#stream = options.stream;
  }

  /** True when the backend was sent the request. */
  get asked(): boolean {
    return this.#stirred || this.#wait === "first" || this.#wait === "next";
  }

  connecting(): void {
    this.#await("connection");
  }

  sent(): void {
    this.#await("first");
  }

  alive(): void {
    this.#stirred = true;
  }

  /** The fault of a wait that has lasted too long; to be called now and then. */
  look(limits: PhaseLimits): Fault | undefined {
    const now = this.#mono();
    if (this.#stirred) {
      this.#stirred = false;
      this.#wait = "next";
      this.#since = now;
    }
    if (this.#wait === "nothing") return undefined;
    const limitMs = this.#limitMs(this.#wait, limits);
    return limitMs > 0 && now - this.#since >= limitMs ? faultOf(this.#wait, limitMs) : undefined;
  }

  #await(wait: Wait): void {
    this.#wait = wait;
    this.#since = this.#mono();
    this.#stirred = false;
  }

  #limitMs(wait: Exclude<Wait, "nothing">, { connectMs, firstTokenMs, idleMs }: PhaseLimits): number {
    switch (wait) {
      case "connection":
        return connectMs;
      case "first":
        return this.#stream ? firstTokenMs : 0;
      case "next":
        return this.#stream ? idleMs : 0;
    }
  }
}

function faultOf(wait: Exclude<Wait, "nothing">, limitMs: number): Fault {
  switch (wait) {
    case "connection":
      return new Fault("connect_timeout", `no connection to the backend within ${limitMs} ms`);
    case "first":
      return new Fault("first_token_timeout", `the backend did not begin to answer within ${limitMs} ms`);
    case "next":
      return new Fault(
        "idle_timeout",
        `the backend fell silent for ${limitMs} ms in the middle of its answer`,
      );
  }
}
