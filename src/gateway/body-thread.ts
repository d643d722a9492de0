/**
 * A thread that reads large bodies, so that the event loop does not. It is given the memory of a body and gives it back
 * with the little that the gateway needs: to copy the value that was read would take as long as reading it.
 */
import { parentPort } from "node:worker_threads";
import { faultToRecord, toFault } from "../core/fault.ts";
import type { FaultRecord } from "../core/fault.ts";
import { openBody } from "./opened-body.ts";
import type { BodyKind, OpenedBody } from "./opened-body.ts";

/** A body to read. */
export interface BodyJob extends BodyKind {
  /** Handed over, not copied. */
  readonly memory: ArrayBuffer;
  /** Where in it the body is. */
  readonly from: number;
  readonly to: number;
}

export type BodyReport =
  | { readonly fault: FaultRecord }
  | {
      readonly opened: Omit<OpenedBody, "bytes">;
      /** Handed back. */
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
