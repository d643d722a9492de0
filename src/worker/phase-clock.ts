import type { Pulse } from "../backends/backend.ts";
import type { Cause } from "../core/cause.ts";
import { Fault } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import type { PhaseLimits, TimeoutPhase } from "../core/timeouts.ts";

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

  /** The fault of a wait that has lasted too long; to be called now and then. @param limits with the phases in which they are the client's own */
  look(limits: PhaseLimits & Pick<Task, "own">): Fault | undefined {
    const now = this.#mono();
    if (this.#stirred) {
      this.#stirred = false;
      this.#wait = "next";
      this.#since = now;
    }
    if (this.#wait === "nothing") return undefined;
    const limitMs = this.#limitMs(this.#wait, limits);
    if (limitMs <= 0 || now - this.#since < limitMs) return undefined;
    const isOwn = limits.own?.includes(PHASES[this.#wait]) === true;
    return faultOf(this.#wait, limitMs, isOwn ? "client" : "backend");
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

const PHASES: Readonly<Record<Exclude<Wait, "nothing">, TimeoutPhase>> = {
  connection: "connect",
  first: "firstToken",
  next: "idle",
};

/** @param blame `client` when the limit is the client's own */
function faultOf(wait: Exclude<Wait, "nothing">, limitMs: number, blame: Cause): Fault {
  switch (wait) {
    case "connection":
      return new Fault("connect_timeout", `no connection to the backend within ${limitMs} ms`, { blame });
    case "first":
      return new Fault("first_token_timeout", `the backend did not begin to answer within ${limitMs} ms`, {
        blame,
      });
    case "next":
      return new Fault(
        "idle_timeout",
        `the backend fell silent for ${limitMs} ms in the middle of its answer`,
        { blame },
      );
  }
}
