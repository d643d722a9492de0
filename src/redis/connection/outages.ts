import { Fault } from "../../core/fault.ts";
import { stallText } from "../../telemetry/stall-report.ts";
import { processStalls } from "../../telemetry/stall-detector.ts";
import { ReplyError } from "./reply-error.ts";

/** States of Redis that pass, or that its operator must end. The sender of a command treats them as an outage. */
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

/** The fault of a lost connection. Its message says so when this process stood still. */
export function downFault(what: string, cause?: unknown): Fault {
  const ms = processStalls.connectionBreakingMs;
  const why = ms === 0 ? "" : `: this process ${stallText(ms)}`;
  return new Fault("redis_down", what + why, cause === undefined ? {} : { cause });
}

/**
 * Turns an error reply of Redis into the error for the sender: an outage, or an error of this one command.
 * Neither has Redis's own words in its message.
 * @param command name of the command; absent when not known
 */
export function refusedReply(error: Error, command?: string): Fault | ReplyError {
  const reply = new ReplyError(error, command);
  if (!OUTAGES.has(reply.reply)) return reply;
  return new Fault("redis_down", `Redis refuses commands now (${reply.reply})`, { cause: reply });
}
