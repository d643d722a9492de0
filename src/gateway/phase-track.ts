import { isOver, move } from "../core/phase.ts";
import type { Phase } from "../core/phase.ts";

/** The phase of one task, and the worker that has it before its first frame. */
export class PhaseTrack {
  #phase: Phase = "opening";
  #holder: string | undefined;

  get now(): Phase {
    return this.#phase;
  }

  /** True when nothing more can happen to the task. */
  get isOver(): boolean {
    return isOver(this.#phase);
  }

  /** The worker that has the task and has sent nothing yet, as far as is known: for people only. */
  get holder(): string | undefined {
    return this.#holder;
  }

  /** Redis has the task. */
  queued(): void {
    if (this.#phase === "opening") this.#phase = "queued";
  }

  /** A worker has the task; which one is told where it is known. */
  held(worker?: string): void {
    if (this.#phase === "answering" || this.isOver) return;
    if (this.#phase !== "running") this.to("running");
    this.#holder = worker ?? this.#holder;
  }

  /** No worker has the task any more. */
  waits(): void {
    if (this.#phase === "running") this.to("queued");
    this.#holder = undefined;
  }

  /** Throws when the move is not legal. Returns the phase before. */
  to(phase: Phase): Phase {
    const before = this.#phase;
    this.#phase = move(before, phase);
    return before;
  }
}
