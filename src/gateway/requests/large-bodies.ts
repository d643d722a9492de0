import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { Fault, faultFromRecord } from "../../core/fault.ts";
import type { BodyJob, BodyReport } from "./body-thread.ts";
import type { BodyKind, OpenedBody } from "./body.ts";

/** Bodies above this size (bytes) are read by the thread. An agent's chat of 64 KiB takes 0.2 ms to read. */
export const LARGE_BODY_BYTES: number = 64 * 1024;

/** The thread ends when it had nothing to do for this long, ms: it takes some 10 MB. */
const IDLE_MS = 60_000;
/** Bodies that may wait for the thread; more are rejected. Their bytes are bounded elsewhere. */
const MOST_WAITING = 1000;
/** Heap of the thread, MB: a body of 64 MB at its bounds takes a third of it. */
const HEAP_MB = 1024;

/** Beside this file: body-thread.ts in the sources, body-thread.js in the published package. */
const THREAD = new URL(`./body-thread${extname(import.meta.filename)}`, import.meta.url);

export interface LargeBodiesOptions {
  /** Called when the thread died. */
  readonly onDied: (error: Error | undefined) => void;
  /** The thread's program. */
  readonly thread?: URL;
  readonly idleMs?: number;
  readonly mostWaiting?: number;
}

/** A body whose turn has not come, or that is read now. */
interface Job {
  readonly kind: BodyKind;
  readonly body: Buffer;
  /** False once its client has gone. */
  readonly isWanted: () => boolean;
  readonly settle: PromiseWithResolvers<OpenedBody>;
}

/** Lets a thread read large bodies, one after the other. It starts with the first and is replaced when it dies. */
export class LargeBodies {
  readonly #onDied: (error: Error | undefined) => void;
  readonly #thread: URL;
  readonly #idleMs: number;
  readonly #mostWaiting: number;
  #worker: Worker | undefined;
  #waiting: Job[] = [];
  #current: Job | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor({ onDied, thread = THREAD, idleMs = IDLE_MS, mostWaiting = MOST_WAITING }: LargeBodiesOptions) {
    this.#onDied = onDied;
    this.#thread = thread;
    this.#idleMs = idleMs;
    this.#mostWaiting = mostWaiting;
  }

  /** Bodies that wait or are read. */
  get size(): number {
    return this.#waiting.length + (this.#current === undefined ? 0 : 1);
  }

  /** True while there is a thread. */
  get running(): boolean {
    return this.#worker !== undefined;
  }

  /**
   * Opens a body, whose whole memory belongs to the thread from now on.
   * @throws Fault as `openBody`; `overloaded` when too many wait; `cancelled` when the body is wanted no longer; `internal`
   * when the thread died of it
   */
  async open(kind: BodyKind, body: Buffer, isWanted: () => boolean): Promise<OpenedBody> {
    this.#dropUnwanted();
    if (this.#waiting.length >= this.#mostWaiting) {
      throw new Fault("overloaded", "server busy, please try again.  maximum large requests exceeded");
    }
    const settle = Promise.withResolvers<OpenedBody>();
    this.#waiting.push({ kind, body, isWanted, settle });
    this.#next();
    return settle.promise;
  }

  /** Ends the thread. Rejects the bodies that wait. */
  close(): void {
    clearTimeout(this.#idle);
    const fault = new Fault("draining", "the gateway is stopping");
    for (const { settle } of this.#waiting) settle.reject(fault);
    this.#waiting = [];
    this.#end(fault);
  }

  /** Bodies of gone clients count nowhere any more: they must not wait in memory for their turn. */
  #dropUnwanted(): void {
    const gone = this.#waiting.filter(({ isWanted }) => !isWanted());
    if (gone.length === 0) return;
    this.#waiting = this.#waiting.filter((job) => !gone.includes(job));
    for (const { settle } of gone) settle.reject(new Fault("cancelled", "the client has gone"));
  }

  #next(): void {
    if (this.#current !== undefined) return;
    const job = this.#waiting.shift();
    if (job === undefined) {
      this.#endWhenIdle();
    } else if (!job.isWanted()) {
      job.settle.reject(new Fault("cancelled", "the client has gone"));
      this.#next();
    } else {
      clearTimeout(this.#idle);
      this.#current = job;
      this.#post(job);
    }
  }

  #post({ kind, body }: Job): void {
    const memory = body.buffer as ArrayBuffer;
    const from = body.byteOffset;
    const job: BodyJob = { ...kind, memory, from, to: from + body.length };
    this.#worker ??= this.#start();
    this.#worker.postMessage(job, [memory]);
  }

  #start(): Worker {
    const worker = new Worker(this.#thread, {
      name: "bodies",
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    worker.on("message", (report: BodyReport) => this.#done(report));
    let reason: Error | undefined;
    worker.on("error", (error: Error) => {
      reason = error;
    });
    worker.on("exit", () => {
      if (this.#worker !== worker) return;
      this.#onDied(reason);
      this.#end(new Fault("internal", "the request body could not be read", { cause: reason }));
    });
    worker.unref();
    return worker;
  }

  #done(report: BodyReport): void {
    const job = this.#current;
    this.#current = undefined;
    if ("fault" in report) job?.settle.reject(faultFromRecord(report.fault));
    else {
      const { opened, memory, from, to } = report;
      job?.settle.resolve({ ...opened, bytes: Buffer.from(memory, from, to - from) });
    }
    this.#next();
  }

  /** The thread has ended. */
  #end(fault: Fault): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    const job = this.#current;
    this.#current = undefined;
    job?.settle.reject(fault);
    this.#next();
  }

  #endWhenIdle(): void {
    if (this.#worker === undefined) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const worker = this.#worker;
      this.#worker = undefined;
      void worker?.terminate();
    }, this.#idleMs).unref();
  }
}
