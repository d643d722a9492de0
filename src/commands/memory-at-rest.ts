import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { freeYoungGeneration, holdYoungGeneration } from "./young-generation.ts";

/**
 * Gives back the memory that load has taken, once a process is at rest. V8 collects when it needs room, so a process
 * that has nothing to do keeps what its start and its last load took: 113 + 123 MB for a gateway and a worker that were
 * just started instead of 85 + 90, 265 + 300 after the benches instead of 128 + 129.
 */

/** Between two looks, ms. */
const LOOK_MS = 1000;

/** A process that works for a smaller share of the time is quiet. */
const QUIET_SHARE = 0.1;

/** A process that works for a larger share is under load: its young generation may grow. */
const LOAD_SHARE = 0.25;

/**
 * Quiet looks in a row that make a rest, for a process that has not been under load since its last collection, and for
 * one that has: load comes in waves, and the next one meets a heap that has to grow again.
 */
const LOOKS_OF_REST = 30;
const LOOKS_AFTER_LOAD = 300;

/** Less than this is not worth a collection, bytes. */
const WORTH_BYTES = 12 * 1024 * 1024;

/** What a look at a process sees. */
export interface RestLook {
  /** The share of the time since the last look in which it worked, 0 to 1. */
  readonly work: number;
  /** What the heap takes of the system's memory, bytes. */
  readonly heapBytes: number;
}

/** Knows when a collection is due. */
export class RestWatch {
  #quietLooks = 0;
  #loaded = false;
  /** Of the heap after the last collection. */
  #keptBytes = 0;

  /** To be called at each look; true when a collection is due, whose end is then to be told to {@link collected}. */
  isDue({ work, heapBytes }: RestLook): boolean {
    this.#quietLooks = work < QUIET_SHARE ? this.#quietLooks + 1 : 0;
    this.#loaded ||= work > LOAD_SHARE;
    return (
      this.#quietLooks >= (this.#loaded ? LOOKS_AFTER_LOAD : LOOKS_OF_REST) &&
      heapBytes - this.#keptBytes >= WORTH_BYTES
    );
  }

  /** @param heapBytes what the heap takes now */
  collected(heapBytes: number): void {
    this.#quietLooks = 0;
    this.#loaded = false;
    this.#keptBytes = heapBytes;
  }
}

/**
 * Looks at this process from now on: its young generation grows only under load, and what load took is given back at
 * rest. Only `last-resort` gives back the young generation and what was compiled for the start; it takes 60 to 110 ms,
 * and in the first two seconds of the next load a gateway does two thirds of its requests/s. Without Node's flag
 * `--expose-gc` it only lets the young generation grow. The looks do not keep the process running.
 */
export function giveBackAtRest({ lookMs = LOOK_MS }: { readonly lookMs?: number } = {}): void {
  const { gc } = globalThis;
  if (gc === undefined) {
    freeYoungGeneration();
    return;
  }
  const watch = new RestWatch();
  let before = performance.eventLoopUtilization();
  const look = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization > LOAD_SHARE) freeYoungGeneration();
    if (!watch.isDue({ work: utilization, heapBytes: heapSize() })) return;
    holdYoungGeneration();
    gc({ type: "major", execution: "sync", flavor: "last-resort" });
    watch.collected(heapSize());
    before = performance.eventLoopUtilization();
  };
  setInterval(look, lookMs).unref();
}

/** Bytes. */
function heapSize(): number {
  return getHeapStatistics().total_physical_size;
}
