import { Fault } from "../../core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { isBlank, parseReply } from "./reply.ts";

/**
 * The one object that a stream stands for, where a server streams whatever was asked for; the bytes themselves when they
 * are one object. Throws the server's own fault, and `backend_lost` for lines that are no objects.
 */
export function joinLines(body: Buffer): Buffer {
  const lines = linesOf(body);
  // One object may be written on several lines.
  if (lines.length < 2 || !isWhole(lines[0])) return body;
  return Buffer.from(JSON.stringify(joined(lines.map(parseReply))));
}

/** More objects than this are no answer of a model, and would take a hundred times their bytes. */
const MOST_LINES = 1_000_000;

/** The lines that hold something. */
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

/** True for a line that is the beginning of an object on several lines. */
export function opensObject(line: Buffer): boolean {
  return line.toString("utf8", 0, 80).trimStart().startsWith("{") && !isWhole(line);
}

function isWhole(line: Buffer | undefined): boolean {
  try {
    return isObject(JSON.parse((line ?? "").toString()));
  } catch {
    return false;
  }
}

/** Members that are pieces of a text, or of a list, in each object; of all others the last counts. */
const TEXTS = ["response", "content", "thinking"];
const LISTS = ["tool_calls", "logprobs"];

function joined(objects: readonly JsonObject[]): JsonObject {
  const messages = objects.map(({ message }) => message).filter(isObject);
  const whole = joinedMembers(objects);
  return messages.length === 0 ? whole : { ...whole, message: joinedMembers(messages) };
}

function joinedMembers(objects: readonly JsonObject[]): JsonObject {
  const whole: JsonObject = {};
  for (const one of objects) Object.assign(whole, one);
  for (const name of TEXTS) {
    const pieces = objects.map((one) => one[name]).filter((piece) => typeof piece === "string");
    if (pieces.length > 0) whole[name] = pieces.join("");
  }
  for (const name of LISTS) {
    const pieces: Json[] = objects.flatMap((one) => {
      const list = one[name];
      return Array.isArray(list) ? list : [];
    });
    if (pieces.length > 0) whole[name] = pieces;
  }
  return whole;
}
