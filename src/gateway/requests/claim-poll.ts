import { hasEnded } from "../../core/task-phase.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { PendingEntry } from "../../redis/pending.ts";
import type { Stores } from "../../redis/stores.ts";
import type { Exchange } from "./exchange.ts";

/** Pause between two polls, ms. */
const POLL_MS = 500;

/** Queues of one poll: 100 take some 5 ms of the event loop. Further queues are left to the next polls. */
const MOST_QUEUES = 100;

export interface ClaimPollOptions {
  readonly connection: Pick<Connection, "ready">;
  readonly stores: Pick<Stores, "leases">;
  /** A claimed task whose lease was not renewed for this long (ms) counts as held by no worker. */
  readonly leaseMs: number;
  /** The open exchanges. */
  readonly exchanges: () => Iterable<Exchange>;
}

/**
 * Finds the workers that have the tasks without a first frame: a claim sends nothing to the gateway. One command reads
 * the pending entries of a queue, and only while some task there waits for its first frame. So a phase is at most half
 * a second old, or a multiple of that with more than 100 queues. A request that is answered sooner costs nothing.
 */
export class ClaimPoll {
  readonly #options: ClaimPollOptions;
  #timer: NodeJS.Timeout | undefined;
  #isPolling = false;
  /** Start of the next poll in the list of queues, when there are too many for one. */
  #turn = 0;

  constructor(options: ClaimPollOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      void this.poll();
    }, POLL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Never rejects: with Redis away the phases stay as they were. */
  async poll(): Promise<void> {
    if (this.#isPolling || !this.#options.connection.ready) return;
    this.#isPolling = true;
    const waiting = [...this.#options.exchanges()].filter(isWithoutFrame);
    const queues = this.#inTurn([...Map.groupBy(waiting, ({ queue }) => queue)]);
    await Promise.allSettled(queues.map(async ([queue, some]) => this.#pollQueue(queue, some)));
    this.#isPolling = false;
  }

  /** Returns the queues whose turn it is. */
  #inTurn<Queue>(all: readonly Queue[]): readonly Queue[] {
    if (all.length <= MOST_QUEUES) return all;
    const from = this.#turn % all.length;
    this.#turn = from + MOST_QUEUES;
    return [...all.slice(from), ...all.slice(0, from)].slice(0, MOST_QUEUES);
  }

  async #pollQueue(queue: string, exchanges: readonly Exchange[]): Promise<void> {
    const pending = await this.#options.stores.leases.allPending(queue);
    for (const exchange of exchanges) {
      const held = pending.get(exchange.entry ?? "");
      // A task that is not pending was not claimed yet, or has just been answered: its frame is on the way.
      if (held !== undefined && isWithoutFrame(exchange)) this.#apply(exchange, held);
    }
  }

  #apply(exchange: Exchange, { worker, idleMs, requeued }: PendingEntry): void {
    if (requeued || idleMs > this.#options.leaseMs) exchange.waits();
    else exchange.runs(worker);
  }
}

/** True while no frame has come of a task that Redis has. */
function isWithoutFrame({ begun, phase, entry }: Exchange): boolean {
  return !begun && entry !== undefined && !hasEnded(phase);
}
