import { toFault } from "../core/fault.ts";
import type { Log } from "../telemetry/log.ts";
import { SparingLog } from "../telemetry/sparing-log.ts";

/** Tells of messages that are no frames: whoever can write to Redis may send any number of them. */
export function badPayloadTo(log: Pick<Log, "warn">): (error: unknown) => void {
  const sparing = new SparingLog(log);
  return (error) => {
    sparing.line("bad_payload", () => {
      log.warn("a message on the reply channel was dropped", { reason: toFault(error).message });
    });
  };
}
