/**
 * A thread that reads large bodies, so that the event loop does not. It gets the memory of a body and returns it with
 * the few values that the gateway needs. To copy the value that was read would take as long as reading it.
 */
import { parentPort } from "node:worker_threads";
import { faultToRecord, toFault } from "../../core/fault.ts";
import type { FaultRecord } from "../../core/fault.ts";
import { openBody } from "./body.ts";
import type { BodyKind, OpenedBody } from "./body.ts";

/** A body to read. */
export interface BodyJob extends BodyKind {
  /** Handed over, not copied. */
  readonly memory: ArrayBuffer;
  /** Position of the body in it. */
  readonly from: number;
  readonly to: number;
}

export type BodyReport =
  | { readonly fault: FaultRecord }
  | {
      readonly opened: Omit<OpenedBody, "bytes">;
      /** The job's own. */
      readonly memory: ArrayBuffer;
      readonly from: number;
      readonly to: number;
    };

parentPort?.on("message", (job: BodyJob) => {
  const report = read(job);
  parentPort?.postMessage(report, "memory" in report ? [report.memory] : []);
});

function read({ memory, from, to, ...kind }: BodyJob): BodyReport {
  try {
    const { bytes, ...opened } = openBody(kind, Buffer.from(memory, from, to - from));
    return { opened, memory, from: bytes.byteOffset, to: bytes.byteOffset + bytes.length };
  } catch (error) {
    return { fault: faultToRecord(toFault(error)) };
  }
}
