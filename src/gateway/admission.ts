import type { Settings } from "../config/settings.ts";
import { Fault } from "../core/fault.ts";
import { Allowance } from "./allowance.ts";

/** What the open tasks of one model take up at this gateway. */
interface ModelLoad {
  readonly tasks: Allowance;
  /** Of their bodies. */
  readonly bytes: Allowance;
}

/** Decides whether one more task may be opened; what is refused is told how long to wait. */
export class Admission {
  readonly #settings: Settings;
  readonly #mono: () => number;
  readonly #open: Allowance;
  readonly #models = new Map<string, ModelLoad>();

  constructor(settings: Settings, mono: () => number) {
    this.#settings = settings;
    this.#mono = mono;
    this.#open = new Allowance(settings.maxOpen, mono);
  }

  /** `overloaded` when not one more task of any model may be opened, else undefined. */
  overloaded(): Fault | undefined {
    if (this.#open.fits(1)) return undefined;
    const retryAfter = this.#open.waitFor(1);
    return new Fault("overloaded", "server busy, please try again.  maximum open requests exceeded", {
      retryAfter,
    });
  }

  /** Throws `overloaded`, or `queue_full` when the model has too many open tasks here, or too many bytes of them. */
  admit(model: string, bytes: number): void {
    const overloaded = this.overloaded();
    if (overloaded !== undefined) throw overloaded;
    const load = this.#models.get(model);
    if (load === undefined) return;
    if (!load.tasks.fits(1)) throw queueFull(load.tasks.waitFor(1));
    if (!load.bytes.fits(bytes)) throw queueFull(load.bytes.waitFor(bytes));
  }

  opened(model: string, bytes: number): void {
    let load = this.#models.get(model);
    if (load === undefined) this.#models.set(model, (load = this.#newLoad()));
    this.#open.take(1);
    load.tasks.take(1);
    load.bytes.take(bytes);
  }

  ended(model: string, bytes: number): void {
    const load = this.#models.get(model);
    if (load === undefined) return;
    this.#open.give(1);
    load.tasks.give(1);
    load.bytes.give(bytes);
    if (load.tasks.used === 0) this.#models.delete(model);
  }

  #newLoad(): ModelLoad {
    const { maxQueue, maxQueueBytes } = this.#settings;
    return {
      tasks: new Allowance(maxQueue, this.#mono),
      bytes: new Allowance(maxQueueBytes, this.#mono),
    };
  }
}

/** In Ollama's words. */
function queueFull(retryAfter: number): Fault {
  const message = "server busy, please try again.  maximum pending requests exceeded";
  return new Fault("queue_full", message, { retryAfter });
}
