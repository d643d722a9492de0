import type { Ambient } from "../core/ambient.ts";
import type { BackendSlots } from "./backend-slots.ts";

interface Cooldown {
  readonly model: string;
  /** Mono ms until which each backend leaves the task to others. */
  readonly until: Map<BackendSlots, number>;
}

/**
 * Tasks that backends of this worker requeued and leave to others for a while. Only this worker knows of it: when it is
 * lost, the cooldowns of its tasks are over.
 */
export class Cooldowns {
  readonly #ambient: Pick<Ambient, "mono">;
  /** By queue entry and model. */
  readonly #cooldowns = new Map<string, Cooldown>();
  #onOver: (model: string) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;

  constructor(ambient: Pick<Ambient, "mono">) {
    this.#ambient = ambient;
  }

  /** Sets the listener for the end of a cooldown: its backend may take tasks of the model again. */
  onOver(listener: (model: string) => void): void {
    this.#onOver = listener;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timerAt = -Infinity;
  }

  /** Keeps a task from a backend for a time (ms). */
  add(
    task: { readonly model: string; readonly entry: string },
    backendSlots: BackendSlots,
    cooldownMs: number,
  ): void {
    const { model, entry } = task;
    const until = this.#ambient.mono() + cooldownMs;
    const key = `${entry} ${model}`;
    const cooldown = this.#cooldowns.get(key) ?? { model, until: new Map() };
    cooldown.until.set(backendSlots, until);
    this.#cooldowns.set(key, cooldown);
    this.#wakeAt(until);
  }

  /** True while a backend leaves a task to others. */
  has(task: { readonly model: string; readonly entry: string }, backendSlots: BackendSlots): boolean {
    if (this.#cooldowns.size === 0) return false;
    const until = this.#cooldowns.get(`${task.entry} ${task.model}`)?.until.get(backendSlots);
    return until !== undefined && until > this.#ambient.mono();
  }

  /** One timer serves all, for the cooldown that ends first. */
  #wakeAt(at: number): void {
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    // A timer may be early by a fraction of a millisecond.
    this.#timer = setTimeout(
      () => {
        this.#end();
      },
      Math.ceil(at - this.#ambient.mono()) + 1,
    );
  }

  #end(): void {
    this.#timerAt = Infinity;
    const now = this.#ambient.mono();
    const over = new Set<string>();
    let next = Infinity;
    for (const [key, { model, until }] of this.#cooldowns) {
      for (const [backendSlots, end] of until) {
        if (end > now) next = Math.min(next, end);
        else {
          until.delete(backendSlots);
          over.add(model);
        }
      }
      if (until.size === 0) this.#cooldowns.delete(key);
    }
    if (next < Infinity) this.#wakeAt(next);
    for (const model of over) this.#onOver(model);
  }
}
