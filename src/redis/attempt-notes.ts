import { lostWorkerNote, readNote } from "../core/attempt-note.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import type { Json } from "../core/json.ts";
import { asJson, asText } from "./connection/resp.ts";

/** Reads the notes on earlier attempts from a marker of a reply stream. Returns none for a frame. */
export function notesIn(fields: readonly Buffer[]): readonly AttemptNote[] {
  if (asText(fields[0]) !== "c") return [];
  const note = parseNote(valueOf(fields, "note"));
  if (note !== undefined) return [note];
  const lost = valueOf(fields, "lost");
  return lost === undefined ? [] : [lostWorkerNote(asText(lost))];
}

function valueOf(fields: readonly Buffer[], name: string): Buffer | undefined {
  for (let at = 2; at + 1 < fields.length; at += 2) if (asText(fields[at]) === name) return fields[at + 1];
  return undefined;
}

/** Reads a note (JSON); undefined for any other text. */
export function parseNote(text: unknown): AttemptNote | undefined {
  const value = asJson(text);
  return value === undefined ? undefined : readNote(value as Json);
}
