import type { TaskEnvelope } from "../wire/task-codec.ts";

/** How long a task may take to its deadline, and to wait for its first worker; ms. */
export interface TimeLeft {
  readonly ms: number;
  readonly queueMs: number;
}

/**
 * @param ordinal the how-manieth attempt it would be: only the first has waited in vain
 * @param ageMs since it was created
 */
export function timeLeft(
  { createdAt, deadline, limits }: TaskEnvelope,
  ordinal: number,
  ageMs: number,
): TimeLeft {
  const queueUntil = ordinal === 1 ? limits?.queueUntil || Infinity : Infinity;
  const now = createdAt + Math.max(0, ageMs);
  return { ms: deadline - now, queueMs: queueUntil - now };
}

/** Its gateway has given it up, or is about to. */
export function isTooLate({ ms, queueMs }: TimeLeft): boolean {
  return ms <= 0 || queueMs <= 0;
}
