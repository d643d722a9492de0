import { Fault } from "../core/fault.ts";
import { isObject } from "../core/json.ts";
import type { JsonObject } from "../core/json.ts";
import { checkMembers } from "../protocols/member-names.ts";
import { firstJsonValue } from "../wire/json-value.ts";
import type { MemberLimits } from "../wire/members.ts";

/**
 * How much a body may hold, whatever its bytes. A member with a name of its own takes some 5 µs until it is at a backend,
 * here and in a worker, and more the more there are: a million took 4 s to read. Other values take 20 to 110 ns. Honest
 * requests have a tenth of each. From some 4,000 levels on the reading of a value runs out of stack, here or in a worker.
 */
export const BODY_LIMITS: Required<MemberLimits> = { members: 100_000, values: 2_000_000, depth: 1024 };

/**
 * Members of a body that the event loop reads by itself. 64 KiB that are 7,000 members with names of their own took it 5 to
 * 9 ms, an agent's chat of as many bytes 0.2 ms; honest bodies of that size have some hundreds.
 */
const MEMBERS_HERE = 2000;

/** A body that was read, and the bytes that say it. */
export interface ReadBody {
  readonly value: JsonObject;
  readonly bytes: Buffer;
}

/**
 * The JSON object of a request's body. Throws `body_missing`, `bad_json`, `unsupported` when it is compressed,
 * `request_too_large` when it has too many members or values, or `invalid_request` when it is no object, too deep, or has
 * members that a backend may read otherwise. Its contents are counted before it is read.
 */
export function readBody(body: Buffer): ReadBody {
  const read = readWithin(body, BODY_LIMITS);
  if ("passed" in read) throw tooMuch(read.passed);
  return read;
}

/** As {@link readBody}; undefined for a body with so many members that a thread should read it. */
export function readSmallBody(body: Buffer): ReadBody | undefined {
  const read = readWithin(body, { ...BODY_LIMITS, members: MEMBERS_HERE });
  if (!("passed" in read)) return read;
  if (read.passed === "members") return undefined;
  throw tooMuch(read.passed);
}

function readWithin(body: Buffer, limits: MemberLimits): ReadBody | { readonly passed: keyof MemberLimits } {
  if (body.length === 0) throw new Fault("body_missing", "missing request body");
  if (isCompressed(body)) {
    const message = "the request body is compressed: send it as it is, without content-encoding";
    throw new Fault("unsupported", message, { http: 415 });
  }
  const { passed } = checkMembers(body, limits);
  if (passed !== undefined) return { passed };
  const read = readJson(body) ?? readFirst(body);
  if (!isObject(read.value)) throw new Fault("invalid_request", "the request body must be a JSON object");
  return { value: read.value, bytes: read.bytes };
}

/**
 * The JSON object of a body that no thread reads, of an order or a question about a model. Throws as {@link readBody}
 * does, and `request_too_large` above `mostBytes`.
 */
export function readShortBody(body: Buffer, mostBytes: number): ReadBody {
  if (body.length <= mostBytes) return readBody(body);
  throw new Fault("request_too_large", `the request body is larger than ${mostBytes} bytes`);
}

function tooMuch(passed: keyof MemberLimits): Fault {
  if (passed === "depth") {
    return new Fault(
      "invalid_request",
      `the request body has more than ${BODY_LIMITS.depth} levels of nesting`,
    );
  }
  return new Fault("request_too_large", `the request body has more than ${BODY_LIMITS[passed]} ${passed}`);
}

/** Ollama reads the first JSON value of a body and ignores what follows it; so do we, where a body is not one value. */
function readFirst(body: Buffer): { value: unknown; bytes: Buffer } {
  const first = firstJsonValue(body);
  const read = first === undefined ? undefined : readJson(first);
  if (read !== undefined) return read;
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
