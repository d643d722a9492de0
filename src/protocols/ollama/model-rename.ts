import { modelKey } from "../../core/model.ts";
import { isBlank, parseReplyLine } from "./backend-reply.ts";

const NEWLINE = 10;

/** Replaces the backend's name of a model by the client's. */
export interface Rename {
  readonly asked: string;
  readonly from: Buffer;
  readonly to: Buffer;
}

/** The rename of a reply; undefined when both names are spellings of one model. */
export function modelRename(asked: string, model: string): Rename | undefined {
  if (modelKey(asked) === modelKey(model)) return undefined;
  return { asked, from: objectStart(model), to: objectStart(asked) };
}

/** Ollama writes the model first. */
function objectStart(model: string): Buffer {
  return Buffer.from(`{"model":${JSON.stringify(model)}`);
}

/** Replaces the name at the beginning of each line, without parsing. */
export function renameLines(lines: Buffer, rename: Rename | undefined): Buffer {
  if (rename === undefined || lines.length === 0) return lines;
  const pieces: Buffer[] = [];
  for (let start = 0, end = 0; start < lines.length; start = end) {
    end = lines.indexOf(NEWLINE, start) + 1 || lines.length;
    if (startsWith(lines, rename.from, start)) {
      pieces.push(rename.to, lines.subarray(start + rename.from.length, end));
    } else {
      pieces.push(renameObject(lines.subarray(start, end), rename.asked));
    }
  }
  return Buffer.concat(pieces);
}

/** Renames a line whose keys have another order. */
function renameObject(line: Buffer, asked: string): Buffer {
  if (isBlank(line)) return line;
  const reply = parseReplyLine(line);
  if (reply["model"] === undefined) return line;
  const ending = line.at(-1) === NEWLINE ? "\n" : "";
  return Buffer.from(JSON.stringify({ ...reply, model: asked }) + ending);
}

function startsWith(bytes: Buffer, start: Buffer, offset: number): boolean {
  // All objects begin with the same two bytes. The third differs nearly always.
  if (bytes[offset + 2] !== start[2] || bytes.length < offset + start.length) return false;
  return bytes.compare(start, 0, start.length, offset, offset + start.length) === 0;
}
