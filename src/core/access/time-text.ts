import { isoTime } from "../iso-time.ts";

/** Times and durations as people write them. */

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Longest duration: 100 years. */
const MOST_MS = 36_525 * 86_400_000;

/** The forms of {@link readDuration} and {@link readTime}, for errors. */
export const DURATION_FORM = "must be a duration such as 90d, 12h or 30m, or 0";
export const TIME_FORM =
  "must be a time to come: a duration such as 90d or 12h, or a date such as 2030-12-31 (UTC)";

/** Ms of a duration: a number with s, m, h, d or w; `0` alone is none. Undefined for another text. */
export function readDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const [, digits = "", unit = ""] = /^(\d{1,9})([smhdw])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNITS[unit] ?? Number.NaN);
  return ms <= MOST_MS ? ms : undefined;
}

/**
 * Ms since 1970 of a time to come: a duration from now on, or an ISO date or time. Without a zone it is UTC; a date alone
 * is its begin. Undefined for another text, and for a time that has passed.
 * @param now ms since 1970
 */
export function readTime(text: string, now: number): number | undefined {
  const ms = readDuration(text);
  const at = ms === undefined ? readDate(text) : now + ms;
  return at !== undefined && at > now && at - now <= MOST_MS ? at : undefined;
}

const DATE = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?)(Z|[+-]\d\d:\d\d)?)?$/i;

function readDate(text: string): number | undefined {
  const [, day = "", time = "00:00", zone = "Z"] = DATE.exec(text) ?? [];
  const begin = Date.parse(`${day}T00:00Z`);
  const at = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  if (Number.isNaN(begin) || Number.isNaN(at)) return undefined;
  // A parser may take February 30 for a day of March.
  return isoTime(begin).startsWith(day) ? at : undefined;
}
