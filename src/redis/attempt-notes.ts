import { lostNote, MOST_NOTES, readNote } from "../core/attempt-note.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import type { Json } from "../core/json.ts";
import { tagOf } from "../core/task.ts";
import { encodeFrame } from "../wire/frame-codec.ts";
import type { Connection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { asEntries, asText } from "./replies.ts";
import { NOTE, runInOrder } from "./scripts.ts";

/** How attempts failed that sent nothing: in the reply stream of their task, for those who run it next, and people. */

const NOTHING = Buffer.alloc(0);

/** Marks of a reply stream looked at. */
const MARKS = String(4 * MOST_NOTES);

/** Tells how an attempt failed that was handed back. Resolves with false when no client waits, or another runs it. */
export async function addNote(
  connection: Connection,
  keys: Keys,
  { task, attempt, note }: { readonly task: string; readonly attempt: number; readonly note: AttemptNote },
): Promise<boolean> {
  const tag = tagOf(task);
  const frame = encodeFrame({ task, attempt: attempt + 1, seq: 0, bytes: NOTHING, note });
  const publish = connection.sharded ? "SPUBLISH" : "PUBLISH";
  const args = [String(attempt + 1), note.worker, JSON.stringify(note), keys.channel(tag), publish, frame];
  // A hint to sweep follows: the worker that it wakes is to find the note.
  return (await runInOrder(connection, NOTE, [keys.reply(task)], args)) === 1;
}

/** All that is told of a task's attempts so far, the oldest first: notes, and workers that were lost. */
export async function readNotes(connection: Connection, keys: Keys, task: string): Promise<AttemptNote[]> {
  const reply = await connection.command("XREVRANGE", keys.reply(task), "+", "-", "COUNT", MARKS);
  return asEntries(reply)
    .toReversed()

    .flatMap(({ fields }) => notesIn(fields))
    .slice(-MOST_NOTES);
}

/** Returns the notes on earlier attempts in a mark of a reply stream; empty for a frame that is no mark. */
export function notesIn(fields: readonly Buffer[]): readonly AttemptNote[] {
  if (asText(fields[0]) !== "c") return [];
  const note = parseNote(valueOf(fields, "note"));
  if (note !== undefined) return [note];
  const lost = valueOf(fields, "lost");
  return lost === undefined ? [] : [lostNote(asText(lost))];
}

function valueOf(fields: readonly Buffer[], name: string): Buffer | undefined {
  for (let at = 2; at + 1 < fields.length; at += 2) if (asText(fields[at]) === name) return fields[at + 1];
  return undefined;
}

/** Undefined for what is no note. */
export function parseNote(text: unknown): AttemptNote | undefined {
  if (text === undefined || text === null) return undefined;
  try {
    return readNote(JSON.parse(asText(text)) as Json);
  } catch {
    return undefined;
  }
}
