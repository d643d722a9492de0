import { isoTime } from "../iso-time.ts";

/** Days and months of UTC, by the calendar of Gregory, in which usage is counted. */

const DAY_MS = 86_400_000;

/** The UTC day of a time, as `yyyymmdd`. @param time ms since 1970 */
export function dayOf(time: number): string {
  return isoTime(time).slice(0, 10).replaceAll("-", "");
}

/** Ms since 1970 at which the next UTC day begins. @param time ms since 1970 */
export function dayEnd(time: number): number {
  return (Math.floor(time / DAY_MS) + 1) * DAY_MS;
}

/** Ms since 1970 at which the next UTC month begins. @param time ms since 1970 */
export function monthEnd(time: number): number {
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/**
 * Reads a day: `yyyy-mm-dd`, `yyyymmdd`, `today` or `yesterday`. Undefined for another text or a day that no calendar
 * has. @param now ms since 1970
 */
export function readDay(text: string, now: number): string | undefined {
  if (text === "today") return dayOf(now);
  if (text === "yesterday") return dayOf(now - DAY_MS);
  const [, year, month, date] = /^(\d{4})(-?)(\d{2})\2(\d{2})$/.exec(text)?.toSpliced(2, 1) ?? [];
  const day = `${year}${month}${date}`;
  const start = startOf(day);
  return !Number.isNaN(start) && dayOf(start) === day ? day : undefined;
}

/** A day as people write it: `yyyy-mm-dd`. @param day yyyymmdd */
export function writtenDay(day: string): string {
  return `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}`;
}

/** All days from one to another, both included; empty when the first is later. @param from @param to yyyymmdd */
export function daysBetween(from: string, to: string): string[] {
  const days: string[] = [];
  for (let time = startOf(from); time <= startOf(to); time += DAY_MS) days.push(dayOf(time));
  return days;
}

function startOf(day: string): number {
  return Date.parse(`${writtenDay(day)}T00:00:00Z`);
}
