import { Fault } from "../core/fault.ts";
import { type JsonBounds, passedBound } from "../wire/json-bounds.ts";
import { Gatherer } from "../wire/lines.ts";

/**
 * Longest reply in one piece, in bytes, read or written: it lies in memory several times and in Redis once. 1,000
 * vectors of 4,096 numbers take about 90 MB as text, 2,048 of them 45 MB in base64.
 */
export const MOST_REPLY_BYTES: number = 128 * 1024 * 1024;

/** The request is what has to change: sending it again would end in the same way. */
export function replyTooLarge(): Fault {
  const limit = `${MOST_REPLY_BYTES / (1024 * 1024)} MiB`;
  return new Fault("invalid_request", `the reply would be larger than ${limit}: ask for less at once`);
}

/** Shorter replies hold too little to need a look: nearly all events and lines of a stream. */
const LARGE_REPLY_BYTES = 2 * 1024;

/**
 * Bounds of a reply, whatever its bytes: to read two million members with names of their own takes 4 s, as many of
 * the same names 0.4 s, 16 million numbers 1 s. A worker must go on renewing its leases meanwhile.
 */
const MOST_HELD: JsonBounds = { members: 2_000_000, values: 20_000_000, depth: 1024 };

/** Throws `backend_lost` for a reply, or a part of one, that holds too much to be read. */
export function checkHeld(reply: Buffer | string): void {
  if (reply.length <= LARGE_REPLY_BYTES) return;
  const passed = passedBound(typeof reply === "string" ? Buffer.from(reply) : reply, MOST_HELD);
  if (passed === undefined) return;
  const what = passed === "depth" ? "levels of nesting" : passed;
  throw new Fault("backend_lost", `the backend's reply has more than ${MOST_HELD[passed]} ${what}`);
}

/** Gathers a reply that can only be used when it is complete. Throws {@link replyTooLarge}. */
export function gatherWhole(): Gatherer {
  return new Gatherer(MOST_REPLY_BYTES, replyTooLarge);
}
