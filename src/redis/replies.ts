import { Fault } from "../core/fault.ts";

/** Readers for what Redis sends back. Redis itself is trusted; shapes are still checked, not assumed. */

export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly Buffer[];
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asText(value: unknown): string {
  if (typeof value === "string") return value;
  return Buffer.isBuffer(value) ? value.toString() : "";
}

const ENTRY_ID = /^\d+-\d+$/;

/** The id of an entry that was added. Throws `redis_down` when it is none: whether there is one is not known. */
export function asEntryId(value: unknown): string {
  const id = asText(value);
  if (!ENTRY_ID.test(id)) throw new Fault("redis_down", "Redis did not say which entry it has added");
  return id;
}

/** Entries of XRANGE, XCLAIM or one stream of XREAD; deleted ones (nil) are left out. */
export function asEntries(value: unknown): StreamEntry[] {
  const entries: StreamEntry[] = [];
  for (const item of asArray(value)) {
    const [id, fields] = asArray(item);
    if (id === undefined || !Array.isArray(fields)) continue;
    entries.push({ id: asText(id), fields: fields.filter((field) => Buffer.isBuffer(field)) });
  }
  return entries;
}

/** `[[key, entries], ...]` of XREAD and XREADGROUP; nil when nothing was there. */
export function asStreams(value: unknown): Map<string, StreamEntry[]> {
  const streams = new Map<string, StreamEntry[]>();
  for (const item of asArray(value)) {
    const [key, entries] = asArray(item);
    streams.set(asText(key), asEntries(entries));
  }
  return streams;
}
