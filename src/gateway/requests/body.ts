import { Fault } from "../../core/fault.ts";
import { isObject } from "../../core/json.ts";
import type { JsonObject } from "../../core/json.ts";
import { MAX_NAME } from "../../core/model.ts";
import type { Endpoint } from "../../core/task.ts";
import { serverCodec } from "../../protocols/dialects.ts";
import { checkMembers } from "../../protocols/member-names.ts";
import { modelNotFound } from "../../protocols/ollama/faults.ts";
import {
  isFormType,
  readFormHead,
  takesForm,
  unsupportedBodyType,
} from "../../protocols/openai/multipart-request.ts";
import type { RequestHead } from "../../protocols/codec.ts";
import { sizeOf, sizeOfForm } from "../../protocols/request-size.ts";
import type { RequestSize } from "../../protocols/request-size.ts";
import { firstJsonValue } from "../../wire/json-value.ts";
import type { MemberLimits } from "../../wire/member-scan.ts";

/**
 * Bounds of a body's content. A member with a name of its own costs some 5 µs on its way to a backend. The cost of
 * each grows with their number: a million took 4 s to read. Other values cost 20 to 110 ns. Honest requests have a tenth of each. A value
 * of some 4,000 levels overflows the stack of its reader, here or in a worker.
 */
export const BODY_LIMITS: Required<MemberLimits> = { members: 100_000, values: 2_000_000, depth: 1024 };

/**
 * Most members of a body that the event loop reads by itself. 64 KiB of 7,000 members with names of their own took it 5
 * to 9 ms. An agent's chat of that size took 0.2 ms. Honest bodies of that size have some hundred members.
 */
const MEMBERS_HERE = 2000;

/** A body's value, and the bytes that hold it. */
export interface ReadBody {
  readonly value: JsonObject;
  readonly bytes: Buffer;
}

/**
 * Returns the JSON object of a request's body. Its content is counted before it is parsed.
 * @throws Fault `body_missing`; `bad_json`; `unsupported` when it is compressed; `request_too_large` when it has too many
 * members or values; `invalid_request` when it is no object, too deep, or has members that a backend may read otherwise
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
 * Returns the JSON object of a body that no thread reads, such as that of a management request. Throws as
 * {@link readBody}, and `request_too_large` above `mostBytes`.
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

/** Ollama reads the first JSON value of a body and ignores the rest. So do we, where a body is not one value. */
function readFirst(body: Buffer): { value: unknown; bytes: Buffer } {
  const first = firstJsonValue(body);
  const read = first === undefined ? undefined : readJson(first);
  if (read !== undefined) return read;
  const isCut = first === undefined && /^\s*[{[]/.test(body.toString("latin1", 0, 64));
  throw new Fault("bad_json", isCut ? "unexpected EOF" : "the request body is not valid JSON");
}

/** First bytes of gzip and Zstandard. The bytes tell, so that no other request pays for reading its headers. */
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

/** The values that the gateway needs of a body, and the bytes that travel. */
export interface OpenedBody extends RequestHead {
  /** A part of the body that was given, without a copy. */
  readonly bytes: Buffer;
  /** True when it sets how long its model stays loaded. */
  readonly keepsAlive: boolean;
  /** Present when the reader was to measure it. */
  readonly size?: RequestSize | undefined;
  /** For a form, see Task. */
  readonly contentType?: string | undefined;
  readonly modelAt?: number | undefined;
}

/** The reader that a body needs. */
export interface BodyKind {
  readonly endpoint: Endpoint;
  /** The client's header; empty without one. */
  readonly contentType: string;
  /** True when its size is wanted, for limits on tokens. Absent: false. */
  readonly measures?: boolean;
}

/** Characters that a fault repeats of a name that is too long for any model. */
const MOST_REPEATED = 80;

/**
 * Reads and checks the body of a request for an endpoint. Throws a fault of its dialect. A name that is too long for any
 * model is rejected here: searching for one of 60 MB, and repeating it to the client, took 0.4 s of the event loop.
 */
export function openBody(kind: BodyKind, body: Buffer): OpenedBody {
  return openedForm(kind, body) ?? openedJson(kind, readBody(body));
}

/** As {@link openBody}; undefined for a body that holds too much for the event loop. */
export function openSmallBody(kind: BodyKind, body: Buffer): OpenedBody | undefined {
  const form = openedForm(kind, body);
  if (form !== undefined) return form;
  const read = readSmallBody(body);
  return read === undefined ? undefined : openedJson(kind, read);
}

/** `{`: a body that begins so is no form, whatever its header says. Most bodies need no further check. */
const BRACE = 0x7b;

/** Undefined for a body that must be read as JSON. */
function openedForm({ endpoint, contentType, measures }: BodyKind, body: Buffer): OpenedBody | undefined {
  if (takesForm(endpoint)) {
    const form = readFormHead(body, contentType);
    checkName(endpoint, form.model);
    const opened = { ...form, bytes: body, keepsAlive: false };
    return measures === true ? { ...opened, size: sizeOfForm(endpoint) } : opened;
  }
  if (body[0] !== BRACE && isFormType(contentType)) throw unsupportedBodyType("json", contentType);
  return undefined;
}

function openedJson({ endpoint, measures }: BodyKind, { value, bytes }: ReadBody): OpenedBody {
  const { model, stream } = serverCodec(endpoint).validate(value);
  checkName(endpoint, model);
  const opened = { model, stream, bytes, keepsAlive: value["keep_alive"] !== undefined };
  return measures === true ? { ...opened, size: sizeOf(endpoint, value) } : opened;
}

function checkName(endpoint: Endpoint, model: string): void {
  if (model.length > MAX_NAME) throw modelNotFound(`${model.slice(0, MOST_REPEATED)}…`, endpoint);
}
