import type { Backend, BackendState, SlotLender } from "../backends/backend.ts";
import { systemAmbient } from "../core/ambient.ts";
import { isServing } from "../core/fleet.ts";
import { modelOf } from "../core/ability.ts";
import type { BackendAnnouncement, GateAnnouncement, GateState } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";
import type { Plan } from "../core/placement.ts";
import type { Endpoint } from "../core/task.ts";
import { Gate } from "./gate.ts";
import type { GateOptions, GateWatch } from "./gate.ts";
import { modelsOf, queueCards, withQueues } from "./model-queues.ts";
import { Placement } from "./placement.ts";
import type { PlacementOptions } from "./placement.ts";

export interface StationOptions {
  /** False for what only this worker knows of: its models are no models of the fleet. */
  readonly announced?: boolean;
  readonly gates?: GateOptions;
  /** A model is served otherwise than before. */
  readonly onGate?: (station: Station, model: string, state: GateState) => void;
  /** Absent: all models are alike, loaded or not. */
  readonly placement?: PlacementOptions;
  /** The memory of the backend has changed, or is not known. */
  readonly onLook?: (station: Station) => void;
  /** A model is loaded for which another had to go. @param waitedMs how long the head of its queue has waited */
  readonly onSwap?: (station: Station, model: string, waitedMs: number) => void;
  /** Decides what failures prove, and probes what has failed. Absent: each failure is believed. */
  readonly judgement?: Judgement;
}

/** Requests that a station's gates make to their worker. */
export interface Judgement {
  /** Failures may be one client's doing: the backend is to be asked now, for the same as they were. */
  doubt(station: Station, model: string, endpoint: Endpoint | undefined): void;
  /** The circuit is open and may be probed. */
  probe(station: Station, model: string, endpoint: Endpoint | undefined): void;
  /** True when the circuit may open: others can do the work. */
  mayEject(station: Station, model: string): boolean;
}

/** What may be claimed for a station now. */
export interface Offer {
  /** A card for each queue, see {@link Station.queues}. */
  readonly models: readonly ModelCard[];
  /** Most tasks; 0 when there are no models. */
  readonly credits: number;
}

/** An attempt at a gate. */
export interface Visit {
  readonly gate: Gate;
  readonly era: number;
  readonly model: string;
  /** True when it loads its model, or waits for its load. */
  readonly cold: boolean;
  /** Where it counts. At its end the backend may be of another kind, one that is not placed for. */
  readonly placement: Placement | undefined;
}

/** A backend with its slots: how many tasks it runs, what models it has, whether it is well. */
export class Station implements SlotLender {
  readonly backend: Backend;
  /** Set by whoever claims for it: slots were lent that a claim under way may have counted as free. */
  onLend?: () => void;
  /** Set by the same: other models than before may be claimed. */
  onPlan?: () => void;
  readonly #fixedSlots: number;
  #state: BackendState = { models: [], slots: undefined };
  #queues: readonly ModelCard[] = [];
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
  readonly #placement: Placement | undefined;

  /** @param fixedSlots as configured; 0 takes what the backend says */
  constructor(backend: Backend, fixedSlots: number, options: StationOptions = {}) {
    this.backend = backend;
    backend.lender = this;
    this.#fixedSlots = fixedSlots;
    this.#options = options;
    const { placement } = options;
    if (placement === undefined) return;
    this.#placement = new Placement(placement, {
      onLook: () => options.onLook?.(this),
      onSwap: (model, waitedMs) => options.onSwap?.(this, model, waitedMs),
      onPlan: () => this.onPlan?.(),
    });
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

  /** A card for each queue that is read for its models, with the name of that queue as key: see core/ability.ts. */
  get queues(): readonly ModelCard[] {
    return this.#healthy ? this.#queues : [];
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
      this.queues.some(({ key }) => this.#reserved.has(key) && this.roomFor(key) > 0);
    return Math.max(0, this.room - (isReserved ? 1 : 0));
  }

  /** What may be claimed: of several models only those whose gates let tasks through, and not too many of any. */
  get offer(): Offer {
    const { queues, free } = this;
    if (this.#troubled.size === 0) return { models: queues, credits: free };
    let credits = free;
    const able = queues.filter(({ key }) => {
      const most = this.#roomBehind(key) - (this.#reserved.has(key) ? 1 : 0);
      if (most > 0) credits = Math.min(credits, most);
      return most > 0;
    });
    return { models: able, credits: able.length === 0 ? 0 : credits };
  }

  /**
   * Returns what may be claimed of several models that are not all loaded; undefined when there is no choice.
   * @param open the queues whose tasks may be claimed; absent: those whose gates let tasks through
   * @param turn counts the looks
   */
  plan(open?: readonly ModelCard[], turn: number = 0): Plan | undefined {
    const { placement, models, queues } = this;
    if (placement === undefined) return undefined;
    const able = open ?? queues.filter(({ key }) => this.#roomBehind(key) > 0);
    if (queues.length === models.length) return placement.plan(models, able, turn);
    const plan = placement.plan(models, modelsOf(models, able), turn);
    return plan === undefined ? undefined : withQueues(plan, able);
  }

  /** How many more tasks of a model this station can run now. */
  roomFor(model: string): number {
    const room = Math.min(this.room, this.#roomBehind(model));
    return room > 0 && this.#isPlaced(model) ? room : 0;
  }

  /** True when the model is loaded, or may be. */
  #isPlaced(model: string): boolean {
    const plan = this.plan();
    return plan === undefined || plan.listen.includes(model);
  }

  /** A task of the model that was handed back finds no room here, or does again: its wait counts. */
  want(model: string, wanted: boolean): void {
    this.placement?.want(modelOf(model), wanted);
  }

  /**
   * False when the circuit of a model is open, or its backend has enough of it, or slots were lent, since the task was
   * claimed.
   */
  admits(model: string): boolean {
    if (this.#lent > 0 && this.#busy >= this.slots) return false;
    if (this.placement?.admits(modelOf(model)) === false) return false;
    return !this.#troubled.has(model) || this.#roomBehind(model) > 0;
  }

  /** True when the station has the model, its circuit is closed, and it is not held. */
  serves(model: string): boolean {
    return (
      !this.#held && this.nameOf(model) !== undefined && isServing(this.#gates.get(model)?.state ?? "closed")
    );
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
    return this.queues.find((queue) => queue.key === key)?.name;
  }

  /** Returns true when the models or the health changed. @param askedAt mono ms, when the backend was asked */
  update(state: BackendState, askedAt: number = Infinity): boolean {
    const before = describe(this.queues);
    const isBack = !this.#healthy;
    this.#state = state;
    this.#queues = queueCards(state.models);
    this.#healthy = true;
    if (isBack) for (const model of this.#troubled) this.#gates.get(model)?.revive();
    this.placement?.seen(state.models, askedAt);
    this.wake();
    return before !== describe(this.queues);
  }

  /** Returns true when the backend counted as healthy before. */
  failed(): boolean {
    const before = this.#healthy;
    this.#healthy = false;
    this.placement?.lost();
    return before;
  }

  /**
   * Takes a slot for a task of a model, and passes its gate: until {@link release}, which belongs to the visit that is
   * returned. A task that is being taken over has both before CLAIM, which counts as an attempt: it must not find its
   * slot lent, or the gate shut by the probe of another, again and again.
   */
  occupy(model: string): Visit {
    this.#busy += 1;
    const gate = this.gateOf(model);
    const { placement } = this;
    const cold = placement?.entered(modelOf(model)) ?? false;
    return { gate, era: gate.enter(), model, cold, placement };
  }

  release({ gate, era, model, placement }: Visit): void {
    this.#busy -= 1;
    gate.leave(era);
    placement?.left(modelOf(model));
    this.wake();
  }

  /** The first piece of the answer of a visit has come. */
  begun({ model, placement }: Visit): void {
    placement?.answered(modelOf(model));
  }

  /** The task of a visit was sent and got no answer. */
  broke({ model, cold, placement }: Visit): void {
    if (cold) placement?.failed(modelOf(model));
  }

  /** The backend's answer is complete. @param loadMs how long it says that the load of the model took */
  worked({ gate, era, model, cold, placement }: Visit, loadMs: number | undefined): void {
    gate.worked(era, this.slots);
    if (cold && loadMs !== undefined) placement?.measured(modelOf(model), loadMs);
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

  /** The gate that lets tasks of a model through to the backend. */
  gateOf(model: string): Gate {
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
      ...this.#judged(model),
    });
    this.#gates.set(model, gate);
    return gate;
  }

  #judged(model: string): Pick<GateWatch, "onDoubt" | "onProbeTime" | "mayEject"> {
    const { judgement } = this.#options;
    if (judgement === undefined || !this.announced) return {};
    return {
      onDoubt: (endpoint) => judgement.doubt(this, model, endpoint),
      onProbeTime: (endpoint) => judgement.probe(this, model, endpoint),
      mayEject: () => judgement.mayEject(this, model),
    };
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
    const placement = this.placement?.announcement(models);
    return {
      name,
      kind,
      url,
      slots,
      busy,
      healthy,
      models,
      ...(gates.length === 0 ? {} : { gates }),
      ...(placement === undefined ? {} : { placement }),
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
