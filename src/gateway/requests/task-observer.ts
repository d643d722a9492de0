import type { KeyNames } from "../../core/access/key-names.ts";
import type { Fault } from "../../core/fault.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { Endpoint } from "../../core/task.ts";
import type { Exchange } from "./exchange.ts";

/** A request that was rejected before it became a task. */
export interface Rejection extends KeyNames {
  readonly task: string;
  readonly request: string;
  /** A traceparent; empty without one. */
  readonly trace: string;
  readonly endpoint: Endpoint;
  /** The start of the name that the client wrote; empty when the request was rejected before its body was read. */
  readonly model: string;
  /** Ms since 1970. */
  readonly at: number;
  readonly fault: Fault;
  /** The tenant of its key; absent without a key. */
  readonly tenant?: string | undefined;
}

/** Follows requests from aside: metrics, log lines, spans. An observer answers nothing and must not throw. */
export interface TaskObserver {
  /** True for an observer that is shown only tasks with a key. It costs other tasks nothing. */
  readonly needsKey?: true;
  /** A request became a task. It is on its way to Redis: its trace may still be set. */
  accepted?(exchange: Exchange): void;
  /** Redis has confirmed the task. */
  queued?(exchange: Exchange): void;
  /** The task is over. Called once for each accepted task. */
  ended?(exchange: Exchange, outcome: Outcome): void;
  /** A request was rejected before it became a task. */
  rejected?(rejection: Rejection): void;
}
