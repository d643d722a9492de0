import { isServing } from "../core/fleet.ts";
import type { CircuitAnnouncement, CircuitState } from "../core/fleet.ts";
import type { Endpoint } from "../core/task.ts";
import { CircuitBreaker } from "./circuit-breaker.ts";
import type { CircuitBreakerOptions } from "./circuit-breaker.ts";

/** Decides what failures with a model prove, and probes a circuit that is open. */
export interface CircuitJudge {
  /** All failures may come from one client: the backend is to be sent an own request now, of the same endpoint. */
  testBackend(model: string, endpoint: Endpoint | undefined): void;
  /** The circuit is open and may be probed. */
  probe(model: string, endpoint: Endpoint | undefined): void;
  /** True when the circuit may open: others can do the work. */
  mayOpen(model: string): boolean;
}

export interface BackendCircuitsEvents {
  /** Tasks of some model may pass again. */
  readonly onRoom: () => void;
  /** Called once for each change of a circuit. */
  readonly onState: (model: string, state: CircuitState) => void;
  /** Absent: each failure is believed. */
  readonly judge?: CircuitJudge | undefined;
}

/** The circuit breakers of one backend, one for each model, by queue name. */
export class BackendCircuits {
  readonly #options: CircuitBreakerOptions;
  readonly #events: BackendCircuitsEvents;
  readonly #circuits = new Map<string, CircuitBreaker>();
  /** Models whose circuits are not closed, or that are busy. */
  readonly #notClosed = new Set<string>();

  constructor(options: CircuitBreakerOptions, events: BackendCircuitsEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** True while no circuit limits anything. */
  get areClosed(): boolean {
    return this.#notClosed.size === 0;
  }

  /** Returns the circuit of a model; a new one is closed. */
  of(model: string): CircuitBreaker {
    const known = this.#circuits.get(model);
    if (known !== undefined) return known;
    const { judge } = this.#events;
    const circuit = new CircuitBreaker(this.#options, {
      onRoom: this.#events.onRoom,
      onState: (state) => {
        if (state === "closed") this.#notClosed.delete(model);
        else this.#notClosed.add(model);
        this.#events.onState(model, state);
      },
      ...(judge !== undefined && {
        onDoubtful: (endpoint) => judge.testBackend(model, endpoint),
        onProbeTime: (endpoint) => judge.probe(model, endpoint),
        mayOpen: () => judge.mayOpen(model),
      }),
    });
    this.#circuits.set(model, circuit);
    return circuit;
  }

  /** Tasks of a model that its circuit lets through now; Infinity when it is closed. */
  roomOf(model: string): number {
    return this.#notClosed.has(model) ? (this.#circuits.get(model)?.room ?? Infinity) : Infinity;
  }

  /** True when the circuit of a model is closed or only busy. */
  serves(model: string): boolean {
    return isServing(this.#circuits.get(model)?.state ?? "closed");
  }

  /** The backend came back: open circuits take a probe at once. */
  recovered(): void {
    for (const model of this.#notClosed) this.#circuits.get(model)?.recovered();
  }

  /** Returns the circuits that are not closed, of models that pass the filter. */
  announcement(isServed: (model: string) => boolean): CircuitAnnouncement[] {
    return [...this.#notClosed].flatMap((model) => {
      const state = this.#circuits.get(model)?.state ?? "closed";
      return state === "closed" || !isServed(model) ? [] : [{ model, state }];
    });
  }
}
