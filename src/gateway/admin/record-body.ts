import { Fault } from "../../core/fault.ts";
import { readDuration, readTime, DURATION_FORM, TIME_FORM } from "../../core/access/time-text.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { HttpRequest } from "../http/http.ts";
import { readShortBody } from "../requests/body.ts";

/** Reads the bodies and queries of the admin API. */

/** Largest body (bytes): a record has 256 patterns of models at most. */
const MOST_BYTES = 256 * 1024;

/** Time that the old secret of a rotated key goes on to work when none is given: one day (ms). */
const OVERLAP_MS = 86_400_000;

/** Members to set, and the version of the record that they are meant for; absent: any. */
export interface RecordBody {
  readonly fields: JsonObject;
  readonly version: number | undefined;
}

/**
 * Reads the members to set. `expires` may also be a duration or a date.
 * @param now ms since 1970
 */
export function readRecordBody({ body }: Pick<HttpRequest, "body">, now: number): RecordBody {
  const { version, ...fields } = readShortBody(body, MOST_BYTES).value;
  return { fields: withTime(fields, now), version: versionOf(version) };
}

/** Reads the body of a rotation; it may be empty. `overlap`: ms, or a duration. */
export function readRotation({ body }: Pick<HttpRequest, "body">): {
  readonly overlapMs: number;
  readonly version: number | undefined;
} {
  const { overlap, version, ...rest } = body.length === 0 ? {} : readShortBody(body, MOST_BYTES).value;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw invalid(`'${unknown}' is unknown: choose from overlap, version`);
  return { overlapMs: overlapOf(overlap), version: versionOf(version) };
}

function withTime(fields: JsonObject, now: number): JsonObject {
  const { expires } = fields;
  if (typeof expires !== "string") return fields;
  const at = readTime(expires, now);
  if (at === undefined) throw invalid(`expires ${TIME_FORM}, or ms since 1970`);
  return { ...fields, expires: at };
}

function overlapOf(value: Json | undefined): number {
  if (value === undefined || value === null) return OVERLAP_MS;
  const ms = typeof value === "string" ? readDuration(value) : value;
  if (typeof ms !== "number") throw invalid(`overlap ${DURATION_FORM}, or a number of ms`);
  return ms;
}

function versionOf(value: Json | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
  throw invalid("version must be the number of a record that was read");
}

function invalid(message: string): Fault {
  return new Fault("invalid_request", message);
}

/** Records on a page when the query has no `limit`, and at most. */
const PAGE = 100;
const MOST_ON_PAGE = 1000;

/** The page of a list that a query asks for. */
export interface PageQuery {
  readonly limit: number;
  /** The mark of the page before; absent for the first page. */
  readonly after: string | undefined;
}

/** Reads `limit` and `after`. @throws Fault `invalid_request` */
export function readPageQuery({ query }: Pick<HttpRequest, "query">): PageQuery {
  const given = new URLSearchParams(query);
  const limit = given.get("limit") ?? String(PAGE);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_ON_PAGE) {
    throw invalid(`limit must be a whole number from 1 to ${MOST_ON_PAGE}`);
  }
  return { limit: Number(limit), after: given.get("after") ?? undefined };
}

/** One page of a list, and the mark for the page after it; absent on the last one. */
export function pageOf<Item>(
  items: readonly Item[],
  { limit, after }: PageQuery,
  markOf: (item: Item) => string,
): { readonly page: readonly Item[]; readonly next?: string } {
  const before = after === undefined ? -1 : items.findIndex((item) => markOf(item) === after);
  if (after !== undefined && before === -1) throw invalid("after is no mark of this list: read it anew");
  const page = items.slice(before + 1, before + 1 + limit);
  const last = page.at(-1);
  const isMore = before + 1 + limit < items.length;
  return { page, ...(isMore && last !== undefined ? { next: markOf(last) } : {}) };
}

/** The piece of a path that stands behind `prefix`, decoded. A piece that cannot be decoded stays. */
export function pieceAfter({ path }: Pick<HttpRequest, "path">, prefix: string): string {
  const [piece = ""] = path.slice(prefix.length).split("/", 1);
  try {
    return decodeURIComponent(piece);
  } catch {
    return piece;
  }
}
