import type { AttemptProgress } from "../backends/backend.ts";
import type { Cause } from "../core/cause.ts";
import { Fault } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import type { PhaseLimits, TimeoutPhase } from "../core/timeouts.ts";

/** The event that an attempt waits for: a connection, the first piece of the answer, the next one. */
type Wait = "nothing" | "connection" | "first" | "next";

/**
 * Measures the wait of an attempt for its backend. A piece of the answer only raises a flag. The next check reads the
 * clock, so that a token costs no clock and no timer.
 */
export class AttemptTimer implements AttemptProgress {
  readonly #awake: () => number;
  readonly #stream: boolean;
  #wait: Wait = "nothing";
  /** Awake ms since which it waits. */
  #since = 0;
  #hasPiece = false;
  #onFirstPiece: (() => void) | undefined;

  /**
   * @param options.awake monotonic time without the time in which this process stood still (ms)
   * @param options.stream false: pieces come when the answer is complete, so that only the connection is timed
   */
  constructor(options: { readonly awake: () => number; readonly stream: boolean }) {
    this.#awake = options.awake;
    this.#stream = options.stream;
  }

  /** True when the backend was sent the request. */
  get wasSent(): boolean {
    return this.#hasPiece || this.#wait === "first" || this.#wait === "next";
  }

  /** Sets the listener for the first piece of the answer, called once. */
  onFirstPiece(listener: () => void): void {
    this.#onFirstPiece = listener;
  }

  connecting(): void {
    this.#startWait("connection");
  }

  sent(): void {
    this.#startWait("first");
  }

  alive(): void {
    this.#hasPiece = true;
    if (this.#onFirstPiece === undefined) return;
    const listener = this.#onFirstPiece;
    this.#onFirstPiece = undefined;
    listener();
  }

  /** Counts the wait anew from the next check, while the backend is paused. */
  extend(): void {
    this.#hasPiece = true;
  }

  /**
   * Returns the fault of a wait that has lasted too long. Call it a few times per second.
   * @param limits with the phases for which the client set the limit
   */
  check(limits: PhaseLimits & Pick<Task, "own">): Fault | undefined {
    const now = this.#awake();
    if (this.#hasPiece) {
      this.#hasPiece = false;
      this.#wait = "next";
      this.#since = now;
    }
    if (this.#wait === "nothing") return undefined;
    const limitMs = this.#limitMs(this.#wait, limits);
    if (limitMs <= 0 || now - this.#since < limitMs) return undefined;
    const isOwn = limits.own?.includes(PHASES[this.#wait]) === true;
    return faultOf(this.#wait, limitMs, isOwn ? "client" : "backend");
  }

  #startWait(wait: Wait): void {
    this.#wait = wait;
    this.#since = this.#awake();
    this.#hasPiece = false;
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
