import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { least } from "../core/long-lists.ts";

const MIB = 1024 * 1024;

/** Bounds of the automatic bound: two of the largest replies fit, and no gateway needs more. */
const LEAST = 256 * MIB;
const MOST = 1024 * MIB;

/** The share of the memory that replies may take. */
const SHARE = 0.25;

/** Limits of memory (bytes); 0 where there is no limit. */
export interface Memory {
  /** The memory that this process, and this machine, may use. */
  readonly machine: number;
  readonly heap: number;
  /** The limit of Redis. */
  readonly maxMemory: number;
}

/** Bytes that the replies of a gateway may hold together where no setting tells. */
export function automaticRoom({ machine, heap, maxMemory }: Memory): number {
  const most = least([machine, heap, maxMemory].filter((bytes) => bytes > 0));
  return Math.round(Math.min(MOST, Math.max(LEAST, most * SHARE)));
}

/** Returns the limits of this process. */
export function ownMemory(maxMemory: number): Memory {
  // Without a limit it is 0, or larger than any machine.
  const constrained = process.constrainedMemory();
  const machine = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return { machine, heap: getHeapStatistics().heap_size_limit, maxMemory };
}
