import { Fault } from "../core/fault.ts";
import { stoodStill } from "../core/own-stall.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import { ReplyError } from "./reply-error.ts";

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

/**
 * Tells the sender of a command what an error reply of Redis means: an outage, or an error of this one
 * command. Neither has Redis's own words in its message.
 * @param error an error reply
 * @param command its name; absent when it is not known
 */
export function refusedReply(error: Error, command?: string): Fault | ReplyError {
  const reply = new ReplyError(error, command);
  if (!OUTAGES.has(reply.reply)) return reply;
  return new Fault("redis_down", `Redis refuses commands now (${reply.reply})`, { cause: reply });
}
