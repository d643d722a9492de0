import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import { unlimitYoungGeneration, limitYoungGeneration } from "./young-generation.ts";

/**
 * Frees memory of an idle process. V8 collects only when it needs room. An idle process therefore keeps the memory of
 * its start and of its last load. After the start, a gateway and a worker held 113 + 123 MB instead of 85 + 90. After
 * the benches it was 265 + 300 MB instead of 128 + 129.
 */

/** Interval of the samples, ms. */
const SAMPLE_MS = 1000;

/** Share of busy time below which a process is quiet. */
const QUIET_SHARE = 0.1;

/** Share of busy time above which a process is under load: its young generation may grow. */
const LOAD_SHARE = 0.25;

/**
 * Quiet samples in a row before a collection, without and with load since the last one. Load comes in waves, and the
 * next wave would have to grow the heap again.
 */
const SAMPLES_OF_REST = 30;
const SAMPLES_AFTER_LOAD = 300;

/** Smallest growth of the heap that is worth a collection, bytes. */
const WORTH_BYTES = 12 * 1024 * 1024;

/** Sample of a process. */
export interface IdleSample {
  /** Share of busy time since the last sample, 0 to 1. */
  readonly work: number;
  /** Memory of the heap, bytes. */
  readonly heapBytes: number;
}

/** Decides when a collection is due. */
export class IdleDetector {
  #quietSamples = 0;
  #loaded = false;
  /** Heap size after the last collection, bytes. */
  #keptBytes = 0;

  /** Takes a sample. True when a collection is due; then call {@link collected} after it. */
  isCollectionDue({ work, heapBytes }: IdleSample): boolean {
    this.#quietSamples = work < QUIET_SHARE ? this.#quietSamples + 1 : 0;
    this.#loaded ||= work > LOAD_SHARE;
    return (
      this.#quietSamples >= (this.#loaded ? SAMPLES_AFTER_LOAD : SAMPLES_OF_REST) &&
      heapBytes - this.#keptBytes >= WORTH_BYTES
    );
  }

  /** Records a collection. @param heapBytes heap size after it */
  collected(heapBytes: number): void {
    this.#quietSamples = 0;
    this.#loaded = false;
    this.#keptBytes = heapBytes;
  }
}

/**
 * Samples this process from now on. Its young generation grows only under load, and its memory is freed when it is
 * idle. The timer does not keep the process running.
 *
 * Only a `last-resort` collection frees the young generation and the code compiled for the start. It takes 60 to 110
 * ms. In the first two seconds of the next load, a gateway serves two thirds of its requests per second. Without Node's
 * flag `--expose-gc`, only the young generation is controlled.
 */
export function freeMemoryWhenIdle({ sampleMs = SAMPLE_MS }: { readonly sampleMs?: number } = {}): void {
  const { gc } = globalThis;
  if (gc === undefined) {
    unlimitYoungGeneration();
    return;
  }
  const watch = new IdleDetector();
  let before = performance.eventLoopUtilization();
  const sample = (): void => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    if (utilization > LOAD_SHARE) unlimitYoungGeneration();
    if (!watch.isCollectionDue({ work: utilization, heapBytes: heapSize() })) return;
    limitYoungGeneration();
    gc({ type: "major", execution: "sync", flavor: "last-resort" });
    watch.collected(heapSize());
    before = performance.eventLoopUtilization();
  };
  setInterval(sample, sampleMs).unref();
}

/** Size of the heap, bytes. */
function heapSize(): number {
  return getHeapStatistics().total_physical_size;
}
