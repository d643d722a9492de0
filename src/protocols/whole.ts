import { Fault } from "../core/fault.ts";
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

/** Gathers a reply that can only be used when it is complete. Throws {@link replyTooLarge}. */
export function gatherWhole(): Gatherer {
  return new Gatherer(MOST_REPLY_BYTES, replyTooLarge);
}
