import { modelOf } from "../core/ability.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { CircuitBreaker } from "./circuit-breaker.ts";
import type { OwnAnswer } from "./own-request.ts";
import type { Placement } from "./placement.ts";
import type { Evidence } from "./streak.ts";

/** The parts of a backend that a lease counts in. */
export interface LeasedFrom {
  readonly backendSlots: BackendSlots;
  readonly circuit: CircuitBreaker;
  /** Undefined for a backend that does not load models on demand. */
  readonly placement: Placement | undefined;
  /** Called once, at the release. */
  readonly onRelease: () => void;
}

/**
 * One slot of a backend that one task holds, with its permit from the circuit of the model. The holder reports the
 * progress of the task here, and releases the slot once. A lease remembers the generation of the circuit: an attempt
 * that began before the last change of the circuit is no news. It also keeps its placement: the backend may be of
 * another kind by the end.
 */
export class SlotLease {
  readonly model: string;
  /** True when the task loads its model, or waits for its load. */
  readonly cold: boolean;
  readonly #from: LeasedFrom;
  readonly #generation: number;
  #isHeld = true;

  /** Enters the circuit and the placement; {@link BackendSlots.occupy} counts the slot. */
  constructor(from: LeasedFrom, model: string) {
    this.#from = from;
    this.model = model;
    this.cold = from.placement?.entered(modelOf(model)) ?? false;
    this.#generation = from.circuit.enter();
  }

  get backendSlots(): BackendSlots {
    return this.#from.backendSlots;
  }

  /** True while the circuit is not closed: the task is a probe. */
  get probes(): boolean {
    return this.#from.circuit.probing;
  }

  /** Frees the slot. Further calls do nothing. */
  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    const { circuit, placement, onRelease } = this.#from;
    circuit.leave(this.#generation);
    placement?.left(modelOf(this.model));
    onRelease();
  }

  /** Reports the first piece of the answer, visible or not: the model is in memory. */
  loaded(): void {
    this.#from.placement?.answered(modelOf(this.model));
  }

  /** Reports that the task was sent and got no answer: a load of its model may have stopped with it. */
  loadFailed(): void {
    if (this.cold) this.#from.placement?.failed(modelOf(this.model));
  }

  /** Reports the first bytes of a streamed answer: they close the circuit after a probe. */
  firstToken(): void {
    this.#from.circuit.firstToken(this.#generation);
  }

  /** Reports a complete answer, or a refusal that the request caused. @param loadMs load time that the backend reports (ms) */
  succeeded(loadMs?: number): void {
    const { circuit, placement, backendSlots } = this.#from;
    circuit.succeeded(this.#generation, backendSlots.slots);
    if (this.cold && loadMs !== undefined) placement?.measured(modelOf(this.model), loadMs);
  }

  /** Reports a failure of the backend. Without evidence it counts as a failed connection. */
  failed(evidence?: Evidence): void {
    this.#from.circuit.failed(this.#generation, evidence);
  }

  /** Reports that the backend is full or not ready. @param retryAfterMs wait that the backend asked for (ms); 0 for none */
  busy(retryAfterMs: number): void {
    this.#from.circuit.busy(this.#generation, retryAfterMs);
  }

  /** Reports the result of the worker's own request, which holds this lease. */
  probed(answer: OwnAnswer): void {
    const { circuit, backendSlots } = this.#from;
    switch (answer) {
      case "works":
        circuit.ownSucceeded(this.#generation, backendSlots.slots);
        break;
      case "fails":
        this.loadFailed();
        this.failed({ strength: "own" });
        break;
      case "busy":
        circuit.ownUnclear();
        this.busy(0);
        break;
      case "unclear":
        circuit.ownUnclear();
        break;
    }
  }
}
