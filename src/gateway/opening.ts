import { setImmediate as turn } from "node:timers/promises";
import { toFault } from "../core/fault.ts";
import { isOver } from "../core/phase.ts";
import { outageCode } from "../redis/reply-error.ts";
import type { Exchange } from "./exchange.ts";
import type { Opener } from "./opener.ts";
import type { Porch } from "./porch.ts";

export interface OpeningHost {
  readonly opener: Pick<Opener, "open">;
  readonly porch: Pick<Porch, "passed">;
  /** Ms, monotonic. */
  readonly mono: () => number;
}

/**
 * Makes the task of an exchange durable and resolves with its queue entry. When the connection breaks just then, Redis
 * may have the task or not. It is queued once more as soon as Redis is back: a doubled delivery is fenced. Resolves with
 * undefined when a worker has told of the task meanwhile, or the exchange is over. Rejects with `redis_down`.
 */
export async function openTask(exchange: Exchange, host: OpeningHost): Promise<string | undefined> {
  const { task, queue } = exchange;
  try {
    return await host.opener.open(task, queue);
  } catch (error) {
    if (!isCut(error)) throw error;
    // A connection rejects its commands before it tells that it is down.
    await turn();
    await host.porch.passed();
    if (isOver(exchange.phase) || exchange.attempts > 0 || exchange.tries.length > 0) return undefined;
    exchange.requeued = true;
    return host.opener.open(task, queue, exchange.endsAt - host.mono());
  }
}

/** True when there was no reply: one that refuses is none of an outage that is over at once. */
function isCut(error: unknown): boolean {
  return toFault(error).code === "redis_down" && outageCode(error) === "";
}
