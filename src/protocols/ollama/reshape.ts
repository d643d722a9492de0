import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { LineSplitter } from "../../wire/lines.ts";
import { isBlank, parseReply } from "./reply.ts";

/**
 * The one object that a stream stands for, where a server streams whatever was asked for; the bytes themselves when they
 * are one object. Throws the server's own fault, and `backend_lost` for lines that are no objects.
 */
export function joinLines(body: Buffer): Buffer {
  const splitter = new LineSplitter(Math.max(body.length, 1));
  const lines = [...splitter.push(body), splitter.rest()].filter((line) => !isBlank(line));
  // One object may be written on several lines.
  if (lines.length < 2 || !isWhole(lines[0])) return body;
  return Buffer.from(JSON.stringify(joined(lines.map(parseReply))));
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
  const whole: JsonObject = Object.assign({}, ...objects);
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
