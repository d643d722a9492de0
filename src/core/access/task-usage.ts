import type { FaultCode } from "../fault.ts";
import type { Usage } from "../usage.ts";
import type { UsageCounts } from "./usage-record.ts";

/** An ended task, as its use is counted. */
export interface CountedTask {
  /** The worker's report; absent when none came, such as for a client that left. */
  readonly usage: Usage | undefined;
  /** Absent for a whole answer. */
  readonly code: FaultCode | undefined;
  /** True when a worker began: only then the model has read the input. */
  readonly hasBegun: boolean;
  /** Estimates, for a task without a report. */
  readonly estimate: { readonly inputTokens: () => number; readonly outputTokens: () => number };
}

/** Counts the use of a task. Without a worker's report, estimates of the input and of the text given to the client count. */
export function usageOfTask({ usage, code, hasBegun, estimate }: CountedTask): UsageCounts {
  const isError = code !== undefined && code !== "cancelled" && code !== "slow_client";
  const counts = { requests: 1, errors: isError ? 1 : 0 };
  if (usage !== undefined) {
    return {
      inputTokens: whole(usage.promptTokens),
      outputTokens: whole(usage.completionTokens),
      cachedTokens: whole(usage.cachedTokens ?? 0),
      ...counts,
    };
  }
  // A failed attempt gave its client nothing: the estimate is for clients that left in the middle.
  const outputTokens = hasBegun ? whole(estimate.outputTokens()) : 0;
  const wasRead = hasBegun && (outputTokens > 0 || !isError);
  return {
    inputTokens: wasRead ? whole(estimate.inputTokens()) : 0,
    outputTokens,
    cachedTokens: 0,
    ...counts,
  };
}

/** Counts come from backends: sums in Redis need whole numbers. */
function whole(count: number): number {
  return Number.isFinite(count) ? Math.min(Math.max(0, Math.round(count)), MOST_TOKENS) : 0;
}

/** Most tokens of one task that are believed. */
const MOST_TOKENS = 1e9;
