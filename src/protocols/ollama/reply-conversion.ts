import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { isBlank, parseReplyLine } from "./backend-reply.ts";

/**
 * Joins the lines of a stream into one object, for a server that streams against the request. A body of one object
 * stays as it is. Throws the server's own fault, and `backend_lost` for lines that are no objects.
 */
export function joinLines(body: Buffer): Buffer {
  const lines = linesOf(body);
  // One object may span several lines.
  if (lines.length < 2 || !isCompleteObject(lines[0])) return body;
  return Buffer.from(JSON.stringify(joinObjects(lines.map(parseReplyLine))));
}

/** Most objects of a reply. More are no answer of a model, and would take a hundred times their bytes. */
const MOST_LINES = 1_000_000;

/** The lines that are not blank. */
function linesOf(body: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0, end = 0; start < body.length; start = end) {
    end = body.indexOf(NEWLINE, start) + 1 || body.length;
    const line = body.subarray(start, end);
    if (!isBlank(line)) lines.push(line);
    if (lines.length > MOST_LINES) throw new Fault("backend_lost", "the backend's reply has too many lines");
  }
  return lines;
}

const NEWLINE = 0x0a;

/** True for the first line of an object that spans several lines. */
export function opensObject(line: Buffer): boolean {
  return line.toString("utf8", 0, 80).trimStart().startsWith("{") && !isCompleteObject(line);
}

function isCompleteObject(line: Buffer | undefined): boolean {
  try {
    return isObject(JSON.parse((line ?? "").toString()));
  } catch {
    return false;
  }
}

/** Members that hold pieces of a text or a list in each object. For other members the last value counts. */
const TEXTS = ["response", "content", "thinking"];
const LISTS = ["tool_calls", "logprobs"];

function joinObjects(objects: readonly JsonObject[]): JsonObject {
  const messages = objects.map(({ message }) => message).filter(isObject);
  const merged = joinedMembers(objects);
  return messages.length === 0 ? merged : { ...merged, message: joinedMembers(messages) };
}

function joinedMembers(objects: readonly JsonObject[]): JsonObject {
  const merged: JsonObject = {};
  for (const one of objects) Object.assign(merged, one);
  for (const name of TEXTS) {
    const pieces = objects.map((one) => one[name]).filter((piece) => typeof piece === "string");
    if (pieces.length > 0) merged[name] = pieces.join("");
  }
  for (const name of LISTS) {
    const pieces: Json[] = objects.flatMap((one) => {
      const list = one[name];
      return Array.isArray(list) ? list : [];
    });
    if (pieces.length > 0) merged[name] = pieces;
  }
  return merged;
}
