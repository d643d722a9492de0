import { setImmediate as turn } from "node:timers/promises";
import { systemAmbient } from "../../core/ambient.ts";
import { toFault } from "../../core/fault.ts";
import type { Outcome } from "../../core/outcome.ts";
import { hasEnded } from "../../core/task-phase.ts";
import type { Task } from "../../core/task.ts";
import { outageCode } from "../../redis/connection/reply-error.ts";
import type { HttpReply } from "../http/http.ts";
import type { Admission } from "./admission.ts";
import type { OutageBuffer } from "./availability.ts";
import type { Cleaner } from "./cleaner.ts";
import type { Enqueuer } from "./enqueuer.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeHost } from "./exchange.ts";
import type { ReplyRouter } from "./reply-router.ts";
import type { SlowClients } from "./slow-clients.ts";
import type { TaskObserver } from "./task-observer.ts";

export interface DispatcherOptions {
  /** Names this gateway: the first part of its task ids. */
  readonly tag: string;
  readonly replies: ReplyRouter;
  readonly slowClients: SlowClients;
  readonly enqueuer: Pick<Enqueuer, "enqueue">;
  readonly outageBuffer: Pick<OutageBuffer, "passed">;
  readonly cleaner: Pick<Cleaner, "abandoned" | "answered">;
  readonly admission: Pick<Admission, "opened" | "ended">;
  readonly observers: readonly TaskObserver[];
}

/** Opens an exchange for each accepted task, brings the task into its queue, and closes the exchange at its end. */
export class Dispatcher implements ExchangeHost {
  readonly mono: () => number = systemAmbient.mono;
  readonly replies: ReplyRouter;
  readonly slowClients: SlowClients;
  readonly #options: DispatcherOptions;
  /** The observers of tasks without a key. */
  readonly #observers: readonly TaskObserver[];
  /** Task id -> the part of the gateway that waits for its end. */
  readonly #waiting = new Map<string, (outcome: Outcome) => void>();
  #count = 0;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#observers = options.observers.filter(({ needsKey }) => needsKey !== true);
    this.replies = options.replies;
    this.slowClients = options.slowClients;
  }

  newTaskId(): string {
    this.#count += 1;
    return `${this.#options.tag}.${this.#count.toString(36)}`;
  }

  /** @param queue name of the task's queue */
  accept(task: Task, queue: string, reply: HttpReply): void {
    const { replies, admission } = this.#options;
    const exchange = new Exchange({ task, queue, reply, host: this });
    replies.add(exchange);
    admission.opened(exchange.model, exchange.bodyBytes);
    for (const observer of this.#observersOf(task)) observer.accepted?.(exchange);
    void this.#enqueue(exchange);
  }

  /** Calls `onOver` once, when this task is over. Call before the task is accepted. */
  watch(task: string, onOver: (outcome: Outcome) => void): void {
    this.#waiting.set(task, onOver);
  }

  over(exchange: Exchange, outcome: Outcome): void {
    const { replies, slowClients, admission, cleaner } = this.#options;
    if (exchange.isPaused) slowClients.forget(exchange);
    replies.remove(exchange);
    admission.ended(exchange.model, exchange.bodyBytes);
    if (outcome.abandon || exchange.isRequeued) cleaner.abandoned(exchange);
    else cleaner.answered(exchange);
    for (const observer of this.#observersOf(exchange.task)) observer.ended?.(exchange, outcome);
    this.#waiting.get(exchange.task.id)?.(outcome);
    this.#waiting.delete(exchange.task.id);
  }

  #observersOf({ keyName }: Task): readonly TaskObserver[] {
    return keyName === undefined ? this.#observers : this.#options.observers;
  }

  /** Makes the task of an exchange durable. */
  async #enqueue(exchange: Exchange): Promise<void> {
    const { enqueuer, cleaner } = this.#options;
    try {
      let entry: string | undefined;
      try {
        entry = await enqueuer.enqueue(exchange.task, exchange.queue);
      } catch (error) {
        entry = await this.#enqueueAgain(exchange, error);
      }
      if (entry === undefined) return;
      exchange.queued(entry);
      for (const observer of this.#observersOf(exchange.task)) observer.queued?.(exchange);
      // When it ended before Redis had confirmed the entry, its end could not remove the entry.
      if (hasEnded(exchange.phase)) cleaner.abandoned(exchange);
    } catch (error) {
      exchange.fail(toFault(error));
    }
  }

  /**
   * Enqueues a task once more whose connection broke in that moment: Redis may have it or not. A doubled delivery is
   * fenced. Resolves with undefined when a frame of the task has come meanwhile, or the exchange is over.
   * @param error why it is not known that Redis has the task; thrown again unless the connection broke
   */
  async #enqueueAgain(exchange: Exchange, error: unknown): Promise<string | undefined> {
    if (!isCut(error)) throw error;
    const { enqueuer, outageBuffer } = this.#options;
    // A connection rejects its commands before it reports that it is down.
    await turn();
    await outageBuffer.passed();
    if (hasEnded(exchange.phase) || exchange.attempts > 0 || exchange.tries.length > 0) return undefined;
    exchange.requeue();
    return enqueuer.enqueue(exchange.task, exchange.queue, exchange.endsAt - this.mono());
  }
}

/** True when there was no reply. A reply that refuses comes from no outage that is over at once. */
function isCut(error: unknown): boolean {
  return toFault(error).code === "redis_down" && outageCode(error) === "";
}
