import { gateStateOf } from "../core/fleet.ts";
import type { WorkerAnnouncement } from "../core/fleet.ts";
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

/** Who else serves a model. Asked only when an attempt has failed. */
export class Peers {
  readonly #options: PeersOptions;
  #workers: Promise<readonly WorkerAnnouncement[]> | undefined;
  #readAt = 0;

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  /** True when another station, of this worker or of another one, serves a model. False with Redis away. */
  async serve(model: string, except: Station): Promise<boolean> {
    const { stations, worker } = this.#options;
    if (stations.some((station) => station !== except && station.serves(model))) return true;
    const workers = await this.#read();
    return workers.some(({ id, draining, backends }) => {
      if (id === worker || draining) return false;
      return backends.some(
        (backend) =>
          backend.models.some(({ key }) => key === model) && gateStateOf(backend, model) !== "open",
      );
    });
  }

  #read(): Promise<readonly WorkerAnnouncement[]> {
    const { connection, keys, mono } = this.#options;
    const now = mono();
    if (this.#workers === undefined || now - this.#readAt > TRUST_MS) {
      this.#readAt = now;
      this.#workers = listWorkers(connection, keys).catch(() => []);
    }
    return this.#workers;
  }
}
