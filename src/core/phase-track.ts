import { hasEnded, changePhase } from "./task-phase.ts";
import type { TaskPhase } from "./task-phase.ts";

/** The phase of one task, and the worker that has it before its first frame. */
export class PhaseTrack {
  #phase: TaskPhase = "opening";
  #holder: string | undefined;

  get now(): TaskPhase {
    return this.#phase;
  }

  /** True when nothing more can happen to the task. */
  get isOver(): boolean {
    return hasEnded(this.#phase);
  }

  /** The worker that has the task and has sent nothing yet, if it is known. For display only. */
  get holder(): string | undefined {
    return this.#holder;
  }

  /** Redis has the task. */
  queued(): void {
    if (this.#phase === "opening") this.#phase = "queued";
  }

  /** A worker has the task. @param worker its id, where it is known */
  runs(worker?: string): void {
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
  to(phase: TaskPhase): TaskPhase {
    const before = this.#phase;
    this.#phase = changePhase(before, phase);
    return before;
  }
}
