import { Fault } from "../core/fault.ts";
import { stoodStill } from "../core/own-stall.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import { replyErrorCode } from "./connection.ts";

/** States of Redis that pass, or that its operator has to end: for whoever sent the command they are an outage. */
const OUTAGES: ReadonlySet<string> = new Set([
  "OOM",
  "LOADING",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "BUSY",
  "MISCONF",
  "NOREPLICAS",
  "UNBLOCKED",
  "NOAUTH",
  "NOPERM",
]);

/** A connection that is not there; says so when it broke because this process stood still. */
export function downFault(what: string, cause?: unknown): Fault {
  const ms = ownStalls.brokeLinks;
  const why = ms === 0 ? "" : `: this process ${stoodStill(ms)}`;
  return new Fault("redis_down", what + why, cause === undefined ? {} : { cause });
}

/** How Redis 7.0 begins when a user lacks a right that a script needs: it is no NOPERM there. */
const DENIED_IN_SCRIPT = "ERR The user executing the script can't ";

/** What a reply of Redis that is an error means to whoever sent the command, when it is an outage. */
export function outageOf(error: Error): Fault | undefined {
  const code = error.message.startsWith(DENIED_IN_SCRIPT) ? "NOPERM" : replyErrorCode(error);
  if (!OUTAGES.has(code)) return undefined;
  return new Fault("redis_down", `Redis refuses commands now (${code})`, { cause: error });
}
