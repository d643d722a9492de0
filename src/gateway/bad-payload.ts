import { toFault } from "../core/fault.ts";
import type { Log } from "../telemetry/log.ts";
import { SparingLog } from "../telemetry/sparing-log.ts";

/** Logs messages that are no frames. Each client of Redis that may write can send any number of them. */
export function badPayloadTo(log: Pick<Log, "warn">): (error: unknown) => void {
  const sparing = new SparingLog(log);
  return (error) => {
    sparing.line("bad_payload", () => {
      log.warn("a message on the reply channel was dropped", { reason: toFault(error).message });
    });
  };
}
