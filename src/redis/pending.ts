import { asArray, asText } from "./connection/resp.ts";

/**
 * HAND_BACK sets the delivery time of an entry to 1970. An entry idle for longer than this (ms, 31 years) was requeued.
 * No worker is silent for that long. Redis's clock must only have been set once.
 */
export const REQUEUED_MS = 1e12;

/** A claimed entry of a queue, as XPENDING reports it. */
export interface PendingEntry {
  readonly entry: string;
  /** The worker that claimed it last. */
  readonly worker: string;
  /** Time since it was claimed or its lease renewed, ms; 0 when it was requeued. */
  readonly idleMs: number;
  readonly deliveries: number;
  /** True when its worker has requeued it: no worker holds it. */
  readonly requeued: boolean;
}

/** Reads a line of XPENDING. */
export function toPending(item: unknown): PendingEntry {
  const [entry, worker, idle, deliveries] = asArray(item);
  const requeued = Number(idle) >= REQUEUED_MS;
  return {
    entry: asText(entry),
    worker: asText(worker),
    idleMs: requeued ? 0 : Number(idle),
    deliveries: Number(deliveries),
    requeued,
  };
}
