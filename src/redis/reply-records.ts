import type { AttemptNote } from "../core/attempt-note.ts";
import { notesIn } from "./attempt-notes.ts";
import { asText } from "./connection/resp.ts";

/** Position of a gateway in a reply stream: its last frame. */
export interface Cursor {
  readonly task: string;
  readonly attempt: number;
  readonly seq: number;
}

/** A record of a reply stream: a frame, or the marker of a later attempt. */
export type ReplyRecord =
  | { readonly type: "frame"; readonly bytes: Buffer }
  | { readonly type: "claim"; readonly attempt: number; readonly notes?: readonly AttemptNote[] };

/** Reads an entry. @param id entry id */
export function toRecord(id: string, fields: readonly Buffer[]): ReplyRecord {
  const [name, value] = fields;
  if (asText(name) === "c" || value === undefined) {
    const claim = { type: "claim", attempt: Number.parseInt(id, 10) } as const;
    const notes = notesIn(fields);
    return notes.length === 0 ? claim : { ...claim, notes };
  }
  return { type: "frame", bytes: value };
}
