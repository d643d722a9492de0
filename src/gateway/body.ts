import { Fault } from "../core/fault.ts";
import { isDeeper, isObject } from "../core/json.ts";
import type { JsonObject } from "../core/json.ts";
import { checkMembers } from "../protocols/member-names.ts";
import { firstJsonValue } from "../wire/json-value.ts";

/**
 * Most levels of arrays and objects in a body. No honest request has a tenth of them; from about 4,000 on whoever walks
 * or writes the value runs out of stack, here or in a worker.
 */
const MAX_DEPTH = 1024;

/** A body that was read, and the bytes that say it. */
export interface ReadBody {
  readonly value: JsonObject;
  readonly bytes: Buffer;
}

/**
 * The JSON object of a request's body. Throws `body_missing`, `bad_json`, `unsupported` when it is compressed, or
 * `invalid_request` when it is no object, too deep, or has members that a backend may read otherwise.
 */
export function readBody(body: Buffer): ReadBody {
  if (body.length === 0) throw new Fault("body_missing", "missing request body");
  const read = readJson(body) ?? readFirst(body);
  if (!isObject(read.value)) throw new Fault("invalid_request", "the request body must be a JSON object");
  // Each level takes two bytes: short bodies need no look.
  if (read.bytes.length > 2 * MAX_DEPTH && isDeeper(read.value, MAX_DEPTH)) {
    throw new Fault("invalid_request", `the request body has more than ${MAX_DEPTH} levels of nesting`);
  }
  checkMembers(read.bytes);
  return { value: read.value, bytes: read.bytes };
}

/** Ollama reads the first JSON value of a body and ignores what follows it; so do we, where a body is not one value. */
function readFirst(body: Buffer): { value: unknown; bytes: Buffer } {
  const first = firstJsonValue(body);
  const read = first === undefined ? undefined : readJson(first);
  if (read !== undefined) return read;
  if (isCompressed(body)) {
    const message = "the request body is compressed: send it as it is, without content-encoding";
    throw new Fault("unsupported", message, { http: 415 });
  }
  const isCut = first === undefined && /^\s*[{[]/.test(body.toString("latin1", 0, 64));
  throw new Fault("bad_json", isCut ? "unexpected EOF" : "the request body is not valid JSON");
}

/** How gzip and Zstandard begin; told by the bytes, so that no other request pays for a look at its headers. */
const COMPRESSED = [Buffer.from([0x1f, 0x8b]), Buffer.from([0x28, 0xb5, 0x2f, 0xfd])] as const;

function isCompressed(body: Buffer): boolean {
  return COMPRESSED.some((magic) => body.subarray(0, magic.length).equals(magic));
}

function readJson(bytes: Buffer): { value: unknown; bytes: Buffer } | undefined {
  try {
    return { value: JSON.parse(bytes.toString()), bytes };
  } catch {
    return undefined;
  }
}
