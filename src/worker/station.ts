import type { Backend, BackendState, SlotLender } from "../backends/backend.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { BackendAnnouncement, GateAnnouncement, GateState } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";
import { Gate } from "./gate.ts";
import type { GateOptions } from "./gate.ts";

export interface StationOptions {
  /** False for what only this worker knows of: its models are no models of the fleet. */
  readonly announced?: boolean;
  readonly gates?: GateOptions;
  /** A model is served otherwise than before. */
  readonly onGate?: (station: Station, model: string, state: GateState) => void;
}

/** What may be claimed for a station now. */
export interface Offer {
  readonly models: readonly ModelCard[];
  /** Most tasks; 0 when there are no models. */
  readonly credits: number;
}

/** An attempt at a gate. */
export interface Visit {
  readonly gate: Gate;
  readonly era: number;
}

/** A backend with its slots: how many tasks it runs, what models it has, whether it is well. */
export class Station implements SlotLender {
  readonly backend: Backend;
  /** Set by whoever claims for it: slots were lent that a claim under way may have counted as free. */
  onLend?: () => void;
  readonly #fixedSlots: number;
  #state: BackendState = { models: [], slots: undefined };
  #healthy = false;
  #busy = 0;
  /** Of these, those lent to tasks that have slots of their own. */
  #lent = 0;
  #held = false;
  #waiters: (() => void)[] = [];
  /** Models of which a task is to be taken over as soon as there is room. */
  readonly #reserved = new Set<string>();

  readonly #options: StationOptions;
  readonly #gates = new Map<string, Gate>();
  /** Models whose gates are not simply closed circuits. */
  readonly #troubled = new Set<string>();

  /** @param fixedSlots as configured; 0 takes what the backend says */
  constructor(backend: Backend, fixedSlots: number, options: StationOptions = {}) {
    this.backend = backend;
    backend.lender = this;
    this.#fixedSlots = fixedSlots;
    this.#options = options;
  }

  get announced(): boolean {
    return this.#options.announced ?? true;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  get models(): readonly ModelCard[] {
    return this.#healthy ? this.#state.models : [];
  }

  /** Keys of the models that were in the backend's memory when it last told. */
  get resident(): ReadonlySet<string> {
    return new Set(this.#state.models.filter(({ resident }) => resident).map(({ key }) => key));
  }

  get slots(): number {
    return this.#fixedSlots > 0 ? this.#fixedSlots : (this.#state.slots ?? 1);
  }

  get busy(): number {
    return this.#busy;
  }

  /** Slots without a task; 0 when the backend is not healthy or has no model, and while it is held back. */
  get room(): number {
    return this.#held || this.models.length === 0 ? 0 : Math.max(0, this.slots - this.#busy);
  }

  /** Slots for new tasks: a reserved one is not. */
  get free(): number {
    const isReserved =
      this.#reserved.size > 0 &&
      this.models.some(({ key }) => this.#reserved.has(key) && this.#roomBehind(key) > 0);
    return Math.max(0, this.room - (isReserved ? 1 : 0));
  }

  /** What may be claimed: of several models only those whose gates let tasks through, and not too many of any. */
  get offer(): Offer {
    const { models, free } = this;
    if (this.#troubled.size === 0) return { models, credits: free };
    let credits = free;
    const able = models.filter(({ key }) => {
      const most = this.#roomBehind(key) - (this.#reserved.has(key) ? 1 : 0);
      if (most > 0) credits = Math.min(credits, most);
      return most > 0;
    });
    return { models: able, credits: able.length === 0 ? 0 : credits };
  }

  /** How many more tasks of a model this station can run now. */
  roomFor(model: string): number {
    return Math.min(this.room, this.#roomBehind(model));
  }

  /**
   * False when the circuit of a model is open, or its backend has enough of it, or slots were lent, since the task was
   * claimed.
   */
  admits(model: string): boolean {
    if (this.#lent > 0 && this.#busy >= this.slots) return false;
    return !this.#troubled.has(model) || this.#roomBehind(model) > 0;
  }

  /** True when the station has the model, its circuit is not open, and it is not held. */
  serves(model: string): boolean {
    return !this.#held && this.nameOf(model) !== undefined && this.#gates.get(model)?.state !== "open";
  }

  #roomBehind(model: string): number {
    return this.#troubled.has(model) ? (this.#gates.get(model)?.room ?? Infinity) : Infinity;
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

  /** Gets no more tasks, or does again. */
  hold(isHeld: boolean): void {
    this.#held = isHeld;
    this.wake();
  }

  /** The backend's own id of a model, or undefined when it does not serve it now. */
  nameOf(key: string): string | undefined {
    return this.models.find((model) => model.key === key)?.name;
  }

  /** Returns true when the models or the health changed. */
  update(state: BackendState): boolean {
    const before = describe(this.models);
    const isBack = !this.#healthy;
    this.#state = state;
    this.#healthy = true;
    if (isBack) for (const model of this.#troubled) this.#gates.get(model)?.revive();
    this.wake();
    return before !== describe(this.models);
  }

  /** Returns true when the backend counted as healthy before. */
  failed(): boolean {
    const before = this.#healthy;
    this.#healthy = false;
    return before;
  }

  /**
   * Takes a slot for a task of a model, and passes its gate: until {@link release}, which belongs to the visit that is
   * returned. A task that is being taken over has both before CLAIM, which counts as an attempt: it must not find its
   * slot lent, or the gate shut by the probe of another, again and again.
   */
  occupy(model: string): Visit {
    this.#busy += 1;
    const gate = this.#gateOf(model);
    return { gate, era: gate.enter() };
  }

  release({ gate, era }: Visit): void {
    this.#busy -= 1;
    gate.leave(era);
    this.wake();
  }

  /** None while a gate bounds what the backend is given: a borrowed slot passes no gate. */
  borrow(): boolean {
    if (this.free === 0 || this.#troubled.size > 0) return false;
    this.#busy += 1;
    this.#lent += 1;
    this.onLend?.();
    return true;
  }

  giveBack(): void {
    this.#busy -= 1;
    this.#lent -= 1;
    this.wake();
  }

  #gateOf(model: string): Gate {
    const known = this.#gates.get(model);
    if (known !== undefined) return known;
    const gate = new Gate(this.#options.gates ?? systemAmbient, {
      onRoom: () => {
        this.wake();
      },
      onState: (state) => {
        if (state === "closed") this.#troubled.delete(model);
        else this.#troubled.add(model);
        this.#options.onGate?.(this, model, state);
      },
    });
    this.#gates.set(model, gate);
    return gate;
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
    const { name, kind, url, quirks = [] } = this.backend;
    const { slots, busy, healthy, models } = this;
    const gates = this.#announcedGates();
    return {
      name,
      kind,
      url,
      slots,
      busy,
      healthy,
      models,
      ...(gates.length === 0 ? {} : { gates }),
      ...(quirks.length === 0 ? {} : { quirks }),
    };
  }

  #announcedGates(): GateAnnouncement[] {
    return [...this.#troubled].flatMap((model) => {
      const state = this.#gates.get(model)?.state ?? "closed";
      return state === "closed" || this.nameOf(model) === undefined ? [] : [{ model, state }];
    });
  }
}

function describe(models: readonly ModelCard[]): string {
  return models.map((model) => `${model.key}\n${model.name}\n${model.resident}`).join("\n");
}
