import { gateStateOf, isEjected, isServing } from "../core/fleet.ts";
import type { BackendAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { servesQueue } from "../core/ability.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { listWorkers } from "../redis/registry.ts";
import type { Station } from "./station.ts";

/** What was read of the fleet is believed this long, ms. */
const TRUST_MS = 1000;

export interface PeersOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly stations: readonly Station[];
  readonly mono: () => number;
}

/** The share of a model's backends whose circuits may be open at once: others would have to carry all of its tasks. */
const MOST_EJECTED = 0.5;

/** Who else serves a model. Asked only when an attempt has failed. */
export class Peers {
  readonly #options: PeersOptions;
  #workers: Promise<readonly WorkerAnnouncement[]> | undefined;
  #readAt = 0;
  /** The workers read last; undefined before. */
  #latest: readonly WorkerAnnouncement[] | undefined;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** True when another station, of this worker or of another one, serves a model. False with Redis away. */
  async serve(model: string, except: Station): Promise<boolean> {
    const { stations, worker } = this.#options;
    if (stations.some((station) => station !== except && station.serves(model))) return true;
    return offersOf(await this.#read(), worker, model).some((backend) =>
      isServing(gateStateOf(backend, model)),
    );
  }

  /** Reads the fleet, unless it was read a moment ago: {@link mayEject} answers by what was read. */
  refresh(): void {
    void this.#read();
  }

  /**
   * True when the circuit of a station may open: at most half of the model's backends may be shut out at once, and never
   * the last one. False as long as nothing is known of others. Several workers may decide at the same moment: what is
   * too much then is paced when its circuit opens again, or after a second.
   */
  mayEject(model: string, station: Station): boolean {
    this.refresh();
    if (this.#latest === undefined) return false;
    const { stations, worker } = this.#options;
    const here = stations.filter(
      (one) => one !== station && one.announced && one.nameOf(model) !== undefined,
    );
    const there = offersOf(this.#latest, worker, model);
    const ejected =
      here.filter((one) => isEjected(one.gateOf(model).state)).length +
      there.filter((backend) => isEjected(gateStateOf(backend, model))).length;
    return ejected + 1 <= Math.floor((here.length + there.length + 1) * MOST_EJECTED);
  }

  #read(): Promise<readonly WorkerAnnouncement[]> {
    const { mono } = this.#options;
    const now = mono();
    if (this.#workers === undefined || now - this.#readAt > TRUST_MS) {
      this.#readAt = now;
      this.#workers = this.#list();
    }
    return this.#workers;
  }

  async #list(): Promise<readonly WorkerAnnouncement[]> {
    const { connection, keys } = this.#options;
    const workers = await listWorkers(connection, keys).catch(() => []);
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
