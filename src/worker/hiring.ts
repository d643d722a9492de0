import type { Backend } from "../backends/backend.ts";
import type { Claimer } from "./claimer.ts";
import type { Presence } from "./presence.ts";
import type { Station } from "./station.ts";

export interface HiringOptions {
  /** Of the worker, as its parts see them: what is hired is added. */
  readonly stations: Station[];
  readonly claimers: Claimer[];
  readonly backends: Backend[];
  readonly stationOf: (backend: Backend) => Station;
  /** Rejects when Redis is away. */
  readonly claimerOf: (station: Station) => Promise<Claimer>;
  readonly presence: Pick<Presence, "look">;
}

/** Takes on backends that are found while the worker runs. */
export class Hiring {
  readonly #options: HiringOptions;
  #isHeld = false;

  constructor(options: HiringOptions) {
    this.#options = options;
  }

  /** From now on, whether backends that are taken on get no tasks: their worker drains. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
  }

  /** Resolves when the backend is announced and claims tasks. Rejects when it cannot be taken on now. */
  async hire(backend: Backend): Promise<void> {
    const { stations, claimers, backends, stationOf, claimerOf, presence } = this.#options;
    const station = stationOf(backend);
    const claimer = await claimerOf(station);
    station.hold(this.#isHeld);
    stations.push(station);
    claimers.push(claimer);
    backends.push(backend);
    await presence.look(station);
    claimer.start();
  }
}
