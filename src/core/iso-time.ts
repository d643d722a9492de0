/** First and last millisecond of the years 1 to 9999 (ms since 1970): RFC 3339 has no other years. */
const FIRST_MS = -62_135_596_800_000;
const LAST_MS = 253_402_300_799_999;

/**
 * Formats a time as in RFC 3339, with ms and in UTC. Never throws: times from other processes may be any number. One
 * before the year 1 or after 9999 becomes the nearest that can be written. NaN becomes 1970.
 * @param ms ms since 1970
 */
export function isoTime(ms: number): string {
  return new Date(Number.isNaN(ms) ? 0 : Math.min(LAST_MS, Math.max(FIRST_MS, ms))).toISOString();
}
