import { Fault } from "../../core/fault.ts";

/** An entry of a stream. */
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

/** Parses JSON; undefined for a value that is none. */
export function asJson(value: unknown): unknown {
  try {
    return JSON.parse(asText(value));
  } catch {
    return undefined;
  }
}

const ENTRY_ID = /^\d+-\d+$/;

/**
 * The id of an added entry.
 * @throws Fault `redis_down` for any other reply: it is not known then whether an entry was added
 */
export function asEntryId(value: unknown): string {
  const id = asText(value);
  if (!ENTRY_ID.test(id)) throw new Fault("redis_down", "Redis did not say which entry it has added");
  return id;
}

/** Entries of XRANGE, XCLAIM or one stream of XREAD. Deleted ones (nil) are left out. */
export function asEntries(value: unknown): StreamEntry[] {
  const entries: StreamEntry[] = [];
  for (const item of asArray(value)) {
    const [id, fields] = asArray(item);
    if (id === undefined || !Array.isArray(fields)) continue;
    entries.push({ id: asText(id), fields: fields.filter((field) => Buffer.isBuffer(field)) });
  }
  return entries;
}

/** Reads `[[key, entries], ...]` of XREAD and XREADGROUP. Empty for nil. */
export function asStreams(value: unknown): Map<string, StreamEntry[]> {
  const streams = new Map<string, StreamEntry[]>();
  for (const item of asArray(value)) {
    const [key, entries] = asArray(item);
    streams.set(asText(key), asEntries(entries));
  }
  return streams;
}
