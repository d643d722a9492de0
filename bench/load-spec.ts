/** Input and output of a load process, as JSON between run.ts and load.ts. */
import type { Percentiles } from "../src/telemetry/duration-histogram.ts";

/** One measurement: closed-loop clients, each with one kept connection and one request open at a time. */
export interface LoadSpec {
  // 12 fields: the JSON argument of the load process
  readonly port: number;
  readonly path: string;
  readonly body: string;
  /** API key; absent: none. */
  readonly key?: string;
  /** Tokens every reply must have. */
  readonly tokens: number;
  /** Text that must follow the last token. */
  readonly endMark: string;
  readonly clients: number;
  /** Over which the clients start, evenly. */
  readonly rampMs: number;
  /** From the last start to the window. */
  readonly warmMs: number;
  readonly windowMs: number;
  /** Time after the window in which open replies may end before they count as unfinished. */
  readonly drainMs: number;
  /** Processes whose CPU and memory are read, by role. */
  readonly pids: Readonly<Record<string, number>>;
}

/** Why a reply did not count. */
export type LoadError = "status" | "tokens" | "truncated" | "transport" | "unfinished";

/** CPU seconds in the window and MB at its end, of one process. */
export interface ResourceUse {
  readonly cpuS: number;
  readonly rssMb: number;
}

/** Results in the window (errors: in the whole run). Durations are in µs. */
export interface LoadReport {
  readonly seconds: number;
  readonly requests: number;
  readonly tokens: number;
  readonly errors: Readonly<Partial<Record<LoadError, number>>>;
  /** From the request's write to its reply's end. */
  readonly latency: Percentiles;
  /** From the request's write to the first token. */
  readonly first: Percentiles;
  /** Between the arrivals of one reply's tokens. */
  readonly gap: Percentiles;
  /** The distribution of the gaps, at the shares `CURVE_SHARES`. */
  readonly gapCurve: readonly number[];
  readonly expenses: Readonly<Record<string, ResourceUse>>;
  /** CPU seconds that the rest of the machine used in the window. */
  readonly othersCpuS: number;
}
