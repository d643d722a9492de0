import { isOver } from "../core/phase.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { pendingEntries } from "../redis/pending.ts";
import type { PendingEntry } from "../redis/pending.ts";
import type { Exchange } from "./exchange.ts";

/** How often is looked who has the tasks that have not begun, ms. */
const LOOK_MS = 500;

/** Queues asked about in one look: 100 take some 5 ms of the event loop. Of more the next looks tell. */
const MOST_QUEUES = 100;

export interface ClaimWatchOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  /** A claimed task whose lease was not renewed for so long is in the hands of no worker. */
  readonly leaseMs: number;
  /** The open ones. */
  readonly exchanges: () => Iterable<Exchange>;
}

/**
 * Sees which tasks without a first frame a worker has: a claim sends nothing to the gateway. All tasks of a queue are
 * looked up by one command, in the list of those that workers hold, and only while some task waits for its first frame.
 * So a phase is at most half a second old (with tasks in more than 100 queues, as many times that), and a request that
 * is answered sooner costs nothing.
 */
export class ClaimWatch {
  readonly #options: ClaimWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  /** Where the next look begins, where there are too many queues for one. */
  #turn = 0;

  constructor(options: ClaimWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      void this.look();
    }, LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Never rejects: with Redis away the phases stay as they were. */
  async look(): Promise<void> {
    if (this.#looking || !this.#options.connection.ready) return;
    this.#looking = true;
    const waiting = [...this.#options.exchanges()].filter(isWithoutFrame);
    const queues = this.#inTurn([...Map.groupBy(waiting, ({ queue }) => queue)]);
    await Promise.allSettled(queues.map(async ([queue, some]) => this.#lookAt(queue, some)));
    this.#looking = false;
  }

  /** Those whose turn it is. */
  #inTurn<Queue>(all: readonly Queue[]): readonly Queue[] {
    if (all.length <= MOST_QUEUES) return all;
    const from = this.#turn % all.length;
    this.#turn = from + MOST_QUEUES;
    return [...all.slice(from), ...all.slice(0, from)].slice(0, MOST_QUEUES);
  }

  async #lookAt(queue: string, exchanges: readonly Exchange[]): Promise<void> {
    const { connection, keys } = this.#options;
    const pending = await pendingEntries(connection, keys.queue(queue));
    for (const exchange of exchanges) {
      const held = pending.get(exchange.entry ?? "");
      // One that is not pending was not claimed yet, or has just been answered: its frame tells.
      if (held !== undefined && isWithoutFrame(exchange)) this.#tell(exchange, held);
    }
  }

  #tell(exchange: Exchange, { worker, idleMs, handedBack }: PendingEntry): void {
    if (handedBack || idleMs > this.#options.leaseMs) exchange.track.waits();
    else exchange.track.held(worker);
  }
}

/** True while no frame has come of a task that Redis has. */
function isWithoutFrame({ begun, phase, entry }: Exchange): boolean {
  return !begun && entry !== undefined && !isOver(phase);
}
