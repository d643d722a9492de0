import type { Outcome } from "../../src/core/outcome.ts";
import { Exchange } from "../../src/gateway/requests/exchange.ts";
import type { Task } from "../../src/core/task.ts";
import { FakeReply } from "./fake-reply.ts";
import { aTask } from "../rig/task.ts";

/** An exchange with a client in memory. */
export interface ExchangeRig {
  readonly exchange: Exchange;
  readonly reply: FakeReply;
  /** Filled when the exchange is over. */
  readonly outcomes: Outcome[];
}

/** @param queue the name of its queue */
export function exchangeOf(id: string, more: Partial<Task> = {}, queue = "tiny"): ExchangeRig {
  const reply = new FakeReply();
  const outcomes: Outcome[] = [];
  const task: Task = aTask({
    id,
    endpoint: "ollama-chat",
    createdAt: 0,
    deadline: 60_000,
    requestId: "req-1",
    ...more,
  });
  const exchange = new Exchange({
    task,
    queue,
    reply,
    host: {
      mono: () => performance.now(),
      replies: { fill: () => {}, trim: () => {} },
      slowClients: { pause: () => {} },
      over: (_exchange, outcome) => void outcomes.push(outcome),
    },
  });
  return { exchange, reply, outcomes };
}
