import { Fault } from "../core/fault.ts";
import { type JsonBounds, exceededBound } from "../wire/json-bounds.ts";
import { ChunkBuffer } from "../wire/lines.ts";

/**
 * Longest whole reply, bytes. A reply is several times in memory and once in Redis. 1,000 vectors of 4,096 numbers
 * take about 90 MB as text, 2,048 of them 45 MB in base64.
 */
export const MAX_REPLY_BYTES: number = 128 * 1024 * 1024;

/** The fault of a reply beyond the limit. The client has to change the request; a retry would fail again. */
export function replyTooLarge(): Fault {
  const limit = `${MAX_REPLY_BYTES / (1024 * 1024)} MiB`;
  return new Fault("invalid_request", `the reply would be larger than ${limit}: ask for less at once`);
}

/** Shorter replies are not counted, which are nearly all events and lines of a stream. */
const LARGE_REPLY_BYTES = 2 * 1024;

/**
 * Bounds on the contents of a reply. Parsing two million members with distinct names takes 4 s, with the same names
 * 0.4 s. 16 million numbers take 1 s. Meanwhile a worker must go on renewing its leases.
 */
const REPLY_BOUNDS: JsonBounds = { members: 2_000_000, values: 20_000_000, depth: 1024 };

/** Throws `backend_lost` for a reply, or a part of one, beyond the bounds. */
export function checkReplyBounds(reply: Buffer | string): void {
  if (reply.length <= LARGE_REPLY_BYTES) return;
  const passed = exceededBound(typeof reply === "string" ? Buffer.from(reply) : reply, REPLY_BOUNDS);
  if (passed === undefined) return;
  const what = passed === "depth" ? "levels of nesting" : passed;
  throw new Fault("backend_lost", `the backend's reply has more than ${REPLY_BOUNDS[passed]} ${what}`);
}

/** A buffer for a reply that is unusable before its end. Throws {@link replyTooLarge}. */
export function replyBuffer(): ChunkBuffer {
  return new ChunkBuffer(MAX_REPLY_BYTES, replyTooLarge);
}
