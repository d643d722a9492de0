import type { Backend, BackendState, SlotLender } from "../backends/backend.ts";
import type { BackendAnnouncement } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";

/** A backend with its slots: how many tasks it runs, what models it has, whether it is well. */
export class Station implements SlotLender {
  readonly backend: Backend;
  readonly #fixedSlots: number;
  #state: BackendState = { models: [], slots: undefined };
  #healthy = false;
  #busy = 0;
  #waiters: (() => void)[] = [];
  /** Models of which a task is to be taken over as soon as there is room. */
  readonly #reserved = new Set<string>();

  /** False for what only this worker knows of: its models are no models of the fleet. */
  readonly announced: boolean;

  /** @param fixedSlots as configured; 0 takes what the backend says */
  constructor(backend: Backend, fixedSlots: number, announced = true) {
    this.backend = backend;
    backend.lender = this;
    this.#fixedSlots = fixedSlots;
    this.announced = announced;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  get models(): readonly ModelCard[] {
    return this.#healthy ? this.#state.models : [];
  }

  get slots(): number {
    return this.#fixedSlots > 0 ? this.#fixedSlots : (this.#state.slots ?? 1);
  }

  get busy(): number {
    return this.#busy;
  }

  /** Slots without a task; 0 when the backend is not healthy or has no model. */
  get room(): number {
    return this.models.length === 0 ? 0 : Math.max(0, this.slots - this.#busy);
  }

  /** Slots for new tasks: a reserved one is not. */
  get free(): number {
    const isReserved = this.#reserved.size > 0 && this.models.some(({ key }) => this.#reserved.has(key));
    return Math.max(0, this.room - (isReserved ? 1 : 0));
  }

  /**
   * Keeps a slot from new tasks, or does no longer: on a busy backend they would take every slot before a task that
   * was taken over from a lost worker gets one.
   */
  reserve(model: string, wanted: boolean): void {
    const before = this.#reserved.size;
    if (wanted) this.#reserved.add(model);
    else this.#reserved.delete(model);
    if (this.#reserved.size < before) this.wake();
  }

  /** The backend's own id of a model, or undefined when it does not serve it now. */
  nameOf(key: string): string | undefined {
    return this.models.find((model) => model.key === key)?.name;
  }

  /** Returns true when the models or the health changed. */
  update(state: BackendState): boolean {
    const before = describe(this.models);
    this.#state = state;
    this.#healthy = true;
    this.wake();
    return before !== describe(this.models);
  }

  /** Returns true when the backend counted as healthy before. */
  failed(): boolean {
    const before = this.#healthy;
    this.#healthy = false;
    return before;
  }

  /** Takes a slot. A task taken over from a dead worker may briefly exceed the slots: backends queue by themselves. */
  occupy(): void {
    this.#busy += 1;
  }

  release(): void {
    this.#busy -= 1;
    this.wake();
  }

  borrow(): boolean {
    if (this.free === 0) return false;
    this.occupy();
    return true;
  }

  giveBack(): void {
    this.release();
  }

  /** Resolves at the next change that may have freed a slot. */
  async changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** Wakes all who wait for a change. */
  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  announcement(): BackendAnnouncement {
    const { name, kind, url } = this.backend;
    const { slots, busy, healthy, models } = this;
    return { name, kind, url, slots, busy, healthy, models };
  }
}

function describe(models: readonly ModelCard[]): string {
  return models.map((model) => `${model.key}\n${model.name}\n${model.resident}`).join("\n");
}
