import { readNote } from "../core/attempt-note.ts";
import { Fault } from "../core/fault.ts";
import type { Frame, FrameEnd, FrameHead } from "../core/frame.ts";
import { isObject, type Json } from "../core/json.ts";
import { packr } from "./msgpack.ts";

/**
 * A frame on the wire is one msgpack array: `[version, task, attempt, seq, head | nil, bytes, end | nil, note?]`. The
 * head is `[status, contentType, worker, dropped?]`, the end a map. Frames may be concatenated without a separator,
 * because msgpack values are self-delimiting.
 */
const VERSION = 1;
const FIELDS = 7;

export function encodeFrame(frame: Frame): Buffer {
  const head = frame.head === undefined ? null : fromHead(frame.head);
  const { task, attempt, seq, bytes, end = null, note } = frame;
  const fields = [VERSION, task, attempt, seq, head, bytes, end];
  return packr.pack(note === undefined ? fields : [...fields, note]);
}

function fromHead({ status, contentType, worker, dropped }: FrameHead): unknown[] {
  const head = [status, contentType, worker];
  return dropped === undefined ? head : [...head, dropped];
}

/** Decodes one or more concatenated frames. Throws `internal` for other bytes, and for an unknown version. */
export function decodeFrames(payload: Buffer): Frame[] {
  let values: unknown;
  try {
    values = packr.unpackMultiple(payload);
  } catch (error) {
    throw new Fault("internal", "a reply frame could not be decoded", { cause: error });
  }
  return Array.isArray(values) ? values.map(toFrame) : [];
}

function toFrame(value: unknown): Frame {
  if (!Array.isArray(value) || value.length < FIELDS) throw malformed("it is not a frame");
  const [version, task, attempt, seq, head, bytes, end, note] = value as unknown[];
  if (version !== VERSION) throw malformed(`its version is ${String(version)}, known is ${VERSION}`);
  if (typeof task !== "string" || !isCount(attempt) || !isCount(seq) || !Buffer.isBuffer(bytes)) {
    throw malformed("its fields are of the wrong type");
  }
  const frame: { -readonly [Key in keyof Frame]: Frame[Key] } = { task, attempt, seq, bytes };
  if (head !== null) frame.head = toHead(head);
  if (end !== null) frame.end = toEnd(end);
  if (note !== undefined) frame.note = readNote(note as Json);
  return frame;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function toHead(value: unknown): FrameHead {
  if (!Array.isArray(value)) throw malformed("its head is of the wrong type");
  const [status, contentType, worker, dropped] = value as unknown[];
  if (!isStatus(status) || typeof contentType !== "string" || typeof worker !== "string") {
    throw malformed("its head is of the wrong type");
  }
  if (dropped === undefined) return { status, contentType, worker };
  if (!isTexts(dropped)) throw malformed("its head is of the wrong type");
  return { status, contentType, worker, dropped };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** Keeps unknown members of a newer version. */
function toEnd(value: unknown): FrameEnd {
  const sound =
    isObject(value) &&
    isAbsentOr(value["fault"], isFault) &&
    isAbsentOr(value["usage"], isUsage) &&
    isAbsentOr(value["firstByteMs"], isAmount) &&
    isAbsentOr(value["totalMs"], isAmount) &&
    isAbsentOr(value["backend"], isText) &&
    isAbsentOr(value["ordinal"], isAmount) &&
    isAbsentOr(value["lost"], isText);
  if (!sound) throw malformed("its end is of the wrong type");
  return value;
}

function isFault(value: unknown): boolean {
  return (
    isObject(value) &&
    typeof value["code"] === "string" &&
    typeof value["message"] === "string" &&
    isStatus(value["http"]) &&
    isAbsentOr(value["retryAfter"], isAmount)
  );
}

function isUsage(value: unknown): boolean {
  return (
    isObject(value) &&
    isAmount(value["promptTokens"]) &&
    isAmount(value["completionTokens"]) &&
    isAbsentOr(value["cachedTokens"], isAmount) &&
    isAbsentOr(value["reasoningTokens"], isAmount)
  );
}

function isAbsentOr(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isAmount(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** True for the status of a complete HTTP reply. */
function isStatus(value: unknown): value is number {
  return isCount(value) && value >= 200 && value <= 599;
}

function malformed(why: string): Fault {
  return new Fault("internal", `a reply frame could not be decoded: ${why}`);
}
