import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { HANDED_BACK_MS } from "../redis/pending.ts";
import type { PendingEntry } from "../redis/pending.ts";
import { silentTasks, takeBack, takeOver } from "../redis/task-stream.ts";
import type { QueuedTask } from "../redis/task-stream.ts";
import type { Resume } from "./resumer.ts";
import type { Resting } from "./resting.ts";
import type { Roll } from "./roll.ts";
import type { Place } from "./place.ts";
import type { Station } from "./station.ts";
import type { Trust } from "./trust.ts";

export interface TakeOverOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly worker: string;
  readonly roll: Roll;
  readonly stations: readonly Station[];
  readonly resting: Resting;
  readonly trust: Trust;
  readonly resume: Resume;
  readonly mono: () => number;
  readonly onReclaimed: (count: number) => void;
  /** A task that a search found had no slot; there may be one now. */
  readonly onRoom: (search: Search) => Promise<void>;
}

/** Which tasks to take over. */
export interface Search {
  readonly model: string;
  /** Silent for so long. */
  readonly idleMs: number;
  /** Only those of this worker. */
  readonly consumer?: string;
}

/** Takes over what a search finds: each task gets a place first, is then claimed, and goes on from there. */
export class TakeOver {
  readonly #options: TakeOverOptions;
  /** Models of which a task waits for a slot. */
  readonly #waiting = new Set<string>();
  /** Queue entries, with their models, that are being taken over. */
  readonly #taking = new Set<string>();

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  /** Does nothing where no station has the model. Rejects with `redis_down`. */
  async search(search: Search): Promise<void> {
    if (this.#ableTo(search.model).length === 0) return;
    const { connection, keys, mono, trust } = this.#options;
    const { model } = search;
    const askedAt = mono();
    const silent = await silentTasks(connection, keys, search);
    const slow = trust.isSlow(askedAt);
    // At once: a slot that is free for a moment is lent, or claimed for, and another search would place them, too.
    const { placed, short } = this.#place(
      search,
      silent.filter((task) => !this.#inHand(model, task.entry)),
    );
    const taking = [...placed.keys()].map((entry) => `${model} ${entry}`);
    for (const one of taking) this.#taking.add(one);
    this.#reserve(short, search);
    try {
      if (placed.size > 0) await this.#takePlaced(search, placed, slow);
    } finally {
      for (const one of taking) this.#taking.delete(one);
      for (const { station, visit } of placed.values()) station.release(visit);
    }
  }

  /** What runs is no longer among the `placed` when this is over. */
  async #takePlaced(search: Search, placed: Places["placed"], slow: boolean): Promise<void> {
    const { connection, keys, worker: consumer, trust, roll } = this.#options;
    const { model } = search;
    // This worker's own are judged by nobody's clock, nor is what was handed back.
    const judged =
      search.consumer === undefined && [...placed.values()].some(({ handedBack }) => !handedBack);
    const trusted = !judged || (!slow && (await trust.look()));
    const idleMs = trusted ? search.idleMs : HANDED_BACK_MS;
    const entries = [...placed].flatMap(([entry, { handedBack }]) =>
      (trusted || handedBack) && !roll.has(model, entry) ? [entry] : [],
    );
    if (entries.length === 0) return;
    const claim = { model, consumer, idleMs, entries };
    const countOf = (entry: string): number => placed.get(entry)?.deliveries ?? 1;
    const tasks =
      search.consumer === undefined
        ? await takeOver(connection, keys, claim)
        : await takeBack(connection, keys, claim, countOf);
    this.#options.onReclaimed(tasks.length);
    // All at once: nobody renews their leases before they run.
    const resumed = await Promise.allSettled(tasks.map(async (task) => this.#runPlaced(task, placed)));
    const failed = resumed.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #runPlaced(task: QueuedTask, placed: Places["placed"]): Promise<void> {
    const place = placed.get(task.entry);
    // Taken for an orphan when its delivery was on the way: it runs by now.
    if (this.#options.roll.has(task.model, task.entry)) return;
    if (place !== undefined && (await this.#options.resume(place, task, place.deliveries)))
      placed.delete(task.entry);
  }

  /** True while a task is being taken over: a delivery of it that was on the way is not run as well. */
  takes({ model, entry }: Pick<QueuedTask, "model" | "entry">): boolean {
    return this.#taking.size > 0 && this.#taking.has(`${model} ${entry}`);
  }

  /** A Redis that answers slowly makes a task look silent that another search is just taking over. */
  #inHand(model: string, entry: string): boolean {
    return this.#options.roll.has(model, entry) || this.takes({ model, entry });
  }

  /** Takes a place for each task at a station with room that does not leave it to others, the roomiest first. */
  #place({ model, consumer }: Search, tasks: readonly PendingEntry[]): Places {
    const stations = this.#ableTo(model);
    const roomOf = (station: Station): number => station.roomFor(model);
    const placed: Places["placed"] = new Map();
    let short: Station | undefined;
    for (const { entry, deliveries, handedBack, worker } of tasks) {
      const willing = stations.filter((station) => !this.#options.resting.has({ model, entry }, station));
      const [station] = willing.toSorted((a, b) => roomOf(b) - roomOf(a));
      if (station === undefined) continue;
      if (roomOf(station) > 0) {
        // One that was handed back without having counted has 0.
        const counted = consumer === undefined ? deliveries + 1 : Math.max(1, deliveries);
        const lost = handedBack || worker === this.#options.worker ? {} : { lost: worker };
        const visit = station.occupy(model);
        placed.set(entry, { station, visit, deliveries: counted, handedBack, ...lost });
      } else short ??= station;
    }
    return { placed, short };
  }

  /** Keeps the next free slot for a task that was found and has none, and searches again when there is one. */
  #reserve(station: Station | undefined, search: Search): void {
    const { model } = search;
    for (const one of this.#options.stations) {
      one.reserve(model, one === station);
      one.want(model, one === station);
    }
    if (station === undefined || this.#waiting.has(model)) return;
    this.#waiting.add(model);
    void this.#placeAgain(station, model).then(() => {
      this.#waiting.delete(model);
      return this.#options.onRoom(search);
    });
  }

  /** Resolves at a change of a station that may have room for a model then, or has lost it. */
  async #placeAgain(station: Station, model: string): Promise<void> {
    do await station.changed();
    while (station.plan() !== undefined && station.serves(model) && station.roomFor(model) === 0);
  }

  #ableTo(model: string): readonly Station[] {
    return this.#options.stations.filter((station) => station.nameOf(model) !== undefined);
  }
}

/** The fate of a task before it was taken over. */
export interface Past extends Pick<PendingEntry, "handedBack"> {
  /** The worker that was lost with it. */
  readonly lost?: string;
}

/** Where a task is to run that is taken over. */
interface Placed extends Place, Past {
  /** How often it was delivered, this time included. */
  readonly deliveries: number;
}

interface Places {
  /** By queue entry. */
  readonly placed: Map<string, Placed>;
  /** A station whose slots another task waits for. */
  readonly short: Station | undefined;
}
