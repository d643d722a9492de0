import type { Ambient } from "../core/ambient.ts";
import { circuitStateOf, hasOpenCircuit, isServing } from "../core/fleet.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { servesQueue } from "../core/ability.ts";
import type { Stores } from "../redis/stores.ts";
import type { BackendSlots } from "./backend-slots.ts";

/** Time for which the announcements that were read are believed (ms). */
const FRESH_MS = 1000;

export interface FleetLookupOptions {
  readonly stores: Pick<Stores, "registry">;
  readonly worker: string;
  readonly allBackendSlots: readonly BackendSlots[];
  readonly ambient: Pick<Ambient, "mono">;
}

/** Largest share of a model's backends whose circuits may be open at once: the others have to carry all of its tasks. */
const MOST_OPEN = 0.5;

/** Finds the other backends of a model, in the whole fleet. Only failed attempts need it. */
export class FleetLookup {
  readonly #options: FleetLookupOptions;
  #workers: Promise<readonly WorkerAnnouncement[]> | undefined;
  #readAt = 0;
  /** The workers read last; undefined before. */
  #latest: readonly WorkerAnnouncement[] | undefined;

  constructor(options: FleetLookupOptions) {
    this.#options = options;
  }

  /** Resolves with true when another backend, of this worker or of another one, serves a model. False with Redis away. */
  async serves(model: string, except: BackendSlots): Promise<boolean> {
    const { allBackendSlots, worker } = this.#options;
    if (allBackendSlots.some((backendSlots) => backendSlots !== except && backendSlots.serves(model)))
      return true;
    return offersOf(await this.#read(), worker, model).some((backend) =>
      isServing(circuitStateOf(backend, model)),
    );
  }

  /** Reads the fleet, unless it was read a moment ago: {@link mayOpen} answers by what was read. */
  refresh(): void {
    void this.#read();
  }

  /**
   * Returns true when the circuit of a backend may open. At most half of the model's backends may be shut out at once,
   * and never the last one. False as long as the fleet has not been read. Several workers may decide at the same moment:
   * a circuit too many is paced when it opens again, or after a second.
   */
  mayOpen(model: string, backendSlots: BackendSlots): boolean {
    this.refresh();
    if (this.#latest === undefined) return false;
    const { allBackendSlots, worker } = this.#options;
    const here = allBackendSlots.filter(
      (one) => one !== backendSlots && one.announced && one.nameOf(model) !== undefined,
    );
    const there = offersOf(this.#latest, worker, model);
    const open =
      here.filter((one) => hasOpenCircuit(one.circuits.of(model).state)).length +
      there.filter((backend) => hasOpenCircuit(circuitStateOf(backend, model))).length;
    return open + 1 <= Math.floor((here.length + there.length + 1) * MOST_OPEN);
  }

  #read(): Promise<readonly WorkerAnnouncement[]> {
    const now = this.#options.ambient.mono();
    if (this.#workers === undefined || now - this.#readAt > FRESH_MS) {
      this.#readAt = now;
      this.#workers = this.#list();
    }
    return this.#workers;
  }

  async #list(): Promise<readonly WorkerAnnouncement[]> {
    const { stores } = this.#options;
    const workers = await stores.registry.listWorkers().catch(() => []);
    this.#latest = workers;
    return workers;
  }
}

/** The backends of other workers that read a queue; a backend that is not healthy lists none. */
function offersOf(
  workers: readonly WorkerAnnouncement[],
  self: string,
  model: string,
): readonly BackendAnnouncement[] {
  return workers
    .filter(({ id, draining }) => id !== self && !draining)
    .flatMap(({ backends }) =>
      backends.filter(({ models }) => models.some((card) => servesQueue(card, model))),
    );
}
