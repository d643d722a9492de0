import type { Backend, BackendState, SlotLender } from "../backends/backend.ts";
import { systemAmbient } from "../core/ambient.ts";
import { modelOf } from "../core/ability.ts";
import type { CircuitState } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";
import type { PlacementPlan } from "../core/placement.ts";
import { BackendCircuits } from "./backend-circuits.ts";
import type { CircuitJudge } from "./backend-circuits.ts";
import type { CircuitBreakerOptions } from "./circuit-breaker.ts";
import { modelsOf, queueCards, withQueues } from "./model-queues.ts";
import { Placement } from "./placement.ts";
import type { PlacementOptions } from "./placement.ts";
import { SlotLease } from "./slot-lease.ts";

export interface BackendSlotsOptions {
  /** False for a backend that only this worker knows: its models are no models of the fleet. */
  readonly announced?: boolean;
  readonly circuits?: CircuitBreakerOptions;
  /** The circuit of a model has changed. */
  readonly onCircuit?: (backendSlots: BackendSlots, model: string, state: CircuitState) => void;
  /** Absent: all models are alike, loaded or not. */
  readonly placement?: PlacementOptions;
  /** The memory of the backend has changed, or is not known. */
  readonly onMemory?: (backendSlots: BackendSlots) => void;
  /** A model is loaded and another had to go. @param waitedMs wait of the head of its queue (ms) */
  readonly onSwap?: (backendSlots: BackendSlots, model: string, waitedMs: number) => void;
  /** Returns the judge of a backend's circuits. Absent: each failure is believed. */
  readonly judgeOf?: (backendSlots: BackendSlots) => CircuitJudge;
}

/** Queues that may be claimed from for a backend now. */
export interface Offer {
  /** A card for each queue, see {@link BackendSlots.queues}. */
  readonly models: readonly ModelCard[];
  /** Most tasks; 0 when there are no models. */
  readonly credits: number;
}

const NOTHING = (): void => {};

/** A backend with its slots: the tasks that it runs, the models that it has, and its health. */
export class BackendSlots implements SlotLender {
  readonly backend: Backend;
  readonly circuits: BackendCircuits;
  readonly #fixedSlots: number;
  readonly #options: BackendSlotsOptions;
  readonly #placement: Placement | undefined;
  #state: BackendState = { models: [], slots: undefined };
  #queues: readonly ModelCard[] = [];
  #healthy = false;
  #busy = 0;
  /** The busy slots that are lent to tasks with slots of their own. */
  #lent = 0;
  #held = false;
  #waiters: (() => void)[] = [];
  /** Models of which a task is to be taken over as soon as there is room. */
  readonly #reserved = new Set<string>();
  #onLend: () => void = NOTHING;
  #onPlan: () => void = NOTHING;

  /** @param fixedSlots as configured; 0 takes the count that the backend reports */
  constructor(backend: Backend, fixedSlots: number, options: BackendSlotsOptions = {}) {
    this.backend = backend;
    backend.useLender?.(this);
    this.#fixedSlots = fixedSlots;
    this.#options = options;
    this.circuits = new BackendCircuits(options.circuits ?? { ambient: systemAmbient }, {
      onRoom: () => this.wake(),
      onState: (model, state) => options.onCircuit?.(this, model, state),
      judge: this.announced ? options.judgeOf?.(this) : undefined,
    });
    const { placement } = options;
    if (placement === undefined) return;
    this.#placement = new Placement(placement, {
      onMemory: () => options.onMemory?.(this),
      onSwap: (model, waitedMs) => options.onSwap?.(this, model, waitedMs),
      onPlan: () => this.#onPlan(),
    });
  }

  /** Sets the listener for slots that are lent: a claim under way may have counted them as free. */
  onLend(listener: () => void): void {
    this.#onLend = listener;
  }

  /** Sets the listener for a change of the models that may be claimed. */
  onPlan(listener: () => void): void {
    this.#onPlan = listener;
  }

  /** The placement at its backend; undefined for one that does not load models on demand. */
  get placement(): Placement | undefined {
    return this.backend.loadsOnDemand === true ? this.#placement : undefined;
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

  /** A card for each queue that is read for its models; its key is the name of the queue, see core/ability.ts. */
  get queues(): readonly ModelCard[] {
    return this.#healthy ? this.#queues : [];
  }

  /** Keys of the models that were in the backend's memory at the last check. */
  get resident(): ReadonlySet<string> {
    return new Set(this.#state.models.filter(({ resident }) => resident).map(({ key }) => key));
  }

  get slots(): number {
    return this.#fixedSlots > 0 ? this.#fixedSlots : (this.#state.slots ?? 1);
  }

  get busy(): number {
    return this.#busy;
  }

  /** Slots without a task; 0 when the backend is not healthy or has no model, and while it is held. */
  get room(): number {
    return this.#held || this.models.length === 0 ? 0 : Math.max(0, this.slots - this.#busy);
  }

  /** Slots for new tasks: a reserved slot does not count. */
  get free(): number {
    const isReserved =
      this.#reserved.size > 0 &&
      this.queues.some(({ key }) => this.#reserved.has(key) && this.roomFor(key) > 0);
    return Math.max(0, this.room - (isReserved ? 1 : 0));
  }

  /** Models that may be claimed: their circuits let tasks through. The circuits bound the credits, too. */
  get offer(): Offer {
    const { queues, free, circuits } = this;
    if (circuits.areClosed) return { models: queues, credits: free };
    let credits = free;
    const able = queues.filter(({ key }) => {
      const most = circuits.roomOf(key) - (this.#reserved.has(key) ? 1 : 0);
      if (most > 0) credits = Math.min(credits, most);
      return most > 0;
    });
    return { models: able, credits: able.length === 0 ? 0 : credits };
  }

  /**
   * Returns the models that may be claimed where not all of them are loaded; undefined when there is no choice.
   * @param open queues whose tasks may be claimed; absent: the queues whose circuits let tasks through
   * @param turn count of the claims so far
   */
  plan(open?: readonly ModelCard[], turn: number = 0): PlacementPlan | undefined {
    const { placement, models, queues } = this;
    if (placement === undefined) return undefined;
    const able = open ?? queues.filter(({ key }) => this.circuits.roomOf(key) > 0);
    if (queues.length === models.length) return placement.plan(models, able, turn);
    const plan = placement.plan(models, modelsOf(models, able), turn);
    return plan === undefined ? undefined : withQueues(plan, able);
  }

  /** Tasks of a model that can start here now. */
  roomFor(model: string): number {
    const room = Math.min(this.room, this.circuits.roomOf(model));
    return room > 0 && this.#isPlaced(model) ? room : 0;
  }

  /** True when the model is loaded, or may be. */
  #isPlaced(model: string): boolean {
    const plan = this.plan();
    return plan === undefined || plan.listen.includes(model);
  }

  /** Records whether a requeued task of the model waits for room here: its wait counts. */
  want(model: string, wanted: boolean): void {
    this.placement?.want(modelOf(model), wanted);
  }

  /**
   * Returns false when a task that was claimed must not start: its circuit opened, its backend is full, or the slot for
   * it was lent since the claim.
   */
  admits(model: string): boolean {
    if (this.#lent > 0 && this.#busy >= this.slots) return false;
    if (this.placement?.admits(modelOf(model)) === false) return false;
    return this.circuits.roomOf(model) > 0;
  }

  /** True when the backend has the model, its circuit is closed, and it is not held. */
  serves(model: string): boolean {
    return !this.#held && this.nameOf(model) !== undefined && this.circuits.serves(model);
  }

  /**
   * Keeps a slot from new tasks, or no longer does. On a busy backend they would take every slot. A task that was taken
   * over from a lost worker would get none.
   */
  reserve(model: string, wanted: boolean): void {
    const before = this.#reserved.size;
    if (wanted) this.#reserved.add(model);
    else this.#reserved.delete(model);
    if (this.#reserved.size < before) this.wake();
  }

  /** Stops new tasks, or lets them come again. */
  hold(isHeld: boolean): void {
    this.#held = isHeld;
    this.wake();
  }

  /** The backend's own id of a model, or undefined when it does not serve it now. */
  nameOf(key: string): string | undefined {
    return this.queues.find((queue) => queue.key === key)?.name;
  }

  /** Returns true when the models or the health changed. @param checkedAt mono ms at which the check began */
  update(state: BackendState, checkedAt: number = Infinity): boolean {
    const before = describe(this.queues);
    const isBack = !this.#healthy;
    this.#state = state;
    this.#queues = queueCards(state.models);
    this.#healthy = true;
    if (isBack) this.circuits.recovered();
    this.placement?.seen(state.models, checkedAt);
    this.wake();
    return before !== describe(this.queues);
  }

  /** The backend does not answer. Returns true when it counted as healthy before. */
  failed(): boolean {
    const before = this.#healthy;
    this.#healthy = false;
    this.placement?.lost();
    return before;
  }

  /**
   * Takes a slot and a permit of the model's circuit, until the release of the lease. A task that is taken over gets
   * both before CLAIM, which counts as an attempt. Otherwise its slot could be lent, or its circuit shut by another
   * probe, again and again.
   */
  occupy(model: string): SlotLease {
    this.#busy += 1;
    const { placement } = this;
    const circuit = this.circuits.of(model);
    return new SlotLease({ backendSlots: this, circuit, placement, onRelease: this.#freeOne }, model);
  }

  readonly #freeOne = (): void => {
    this.#busy -= 1;
    this.wake();
  };

  /** Lends a slot. Returns false while a circuit bounds the backend's tasks: a borrowed slot needs no permit. */
  borrow(): boolean {
    if (this.free === 0 || !this.circuits.areClosed) return false;
    this.#busy += 1;
    this.#lent += 1;
    this.#onLend();
    return true;
  }

  returnSlot(): void {
    this.#lent -= 1;
    this.#freeOne();
  }

  /** Resolves at the next change that may have freed a slot. */
  async changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** Wakes all that wait for a change. */
  wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }
}

function describe(models: readonly ModelCard[]): string {
  return models.map((model) => `${model.key}\n${model.name}\n${model.resident}`).join("\n");
}
