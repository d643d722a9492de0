import type { AttemptNote } from "../core/attempt-note.ts";
import { encodeFrame } from "../wire/frame-codec.ts";
import { notesIn, parseNote } from "./attempt-notes.ts";
import type { Argument, Connection } from "./connection.ts";
import { lifeOf } from "./enqueue.ts";
import type { Keys } from "./keys.ts";
import { asArray, asStreams, asText } from "./replies.ts";
import { CLAIM, EMIT, OPEN, run, runInOrder } from "./scripts.ts";

/** How long a reply stream lives after its end frame, for a gateway that is slow or was away. */
export const LINGER_MS = 60_000;

/** Creates reply streams. `lives` are the ms until each task's deadline. */
export async function openReplies(
  connection: Connection,
  keys: Keys,
  tasks: readonly { readonly id: string; readonly life: number }[],
): Promise<void> {
  const replies = tasks.map((task) => keys.reply(task.id));
  const lives = tasks.map((task) => lifeOf(task.life));
  // A task that is queued before its reply stream exists looks abandoned to the worker that is woken by it.
  await runInOrder(connection, OPEN, replies, lives);
}

/** A frame on its way into a reply stream. */
export interface OutgoingFrame {
  readonly task: string;
  readonly attempt: number;
  readonly seq: number;
  readonly last: boolean;
  readonly bytes: Buffer;
}

/**
 * What became of a frame. `gone`: nobody waits for the reply any more. `fenced`: a later attempt has taken over.
 * `refused`: Redis could not store it now; it must be sent again.
 */
export type EmitResult = "accepted" | "gone" | "fenced" | "refused";

const NOTHING = Buffer.alloc(0);
/** Where {@link emit} puts the records among its arguments. */
const RECORDS_AT = 3;

const RESULTS: readonly EmitResult[] = ["accepted", "gone", "fenced", "refused"];

/**
 * Bytes of frames in one message to a gateway. Redis hangs up on a subscriber to whom it owes more than 32 MiB, by its
 * default settings, and then the messages of all tasks of that gateway are lost.
 */
export const MOST_PUBLISHED: number = 4 * 1024 * 1024;

/** In place of a frame that is too large to be published. */
export const NUDGE_SEQ: number = Number.MAX_SAFE_INTEGER;

/** Appends frames of tasks of one gateway and publishes them there. Sending the same frames again is harmless. */
export async function emit(
  connection: Connection,
  keys: Keys,
  tag: string,
  frames: readonly OutgoingFrame[],
): Promise<EmitResult[]> {
  let size = 0;
  for (const { bytes } of frames) size += bytes.length;
  if (size <= MOST_PUBLISHED) return emitTogether(connection, keys, tag, frames);
  const calls = bySize(frames).map(async (some) => emitTogether(connection, keys, tag, some));
  return (await Promise.all(calls)).flat();
}

/** Groups of frames that may be published together; a frame that may not be is alone. */
function bySize(frames: readonly OutgoingFrame[]): OutgoingFrame[][] {
  const groups: OutgoingFrame[][] = [];
  let size = Infinity;
  for (const frame of frames) {
    size += frame.bytes.length;
    if (size <= MOST_PUBLISHED) {
      groups.at(-1)?.push(frame);
      continue;
    }
    size = frame.bytes.length;
    groups.push([frame]);
  }
  return groups;
}

/** A frame that no gateway can be waiting for: it looks into the reply stream for those before. */
function nudgeFor({ task, attempt }: OutgoingFrame): Buffer {
  return encodeFrame({ task, attempt, seq: NUDGE_SEQ, bytes: NOTHING });
}

async function emitTogether(
  connection: Connection,
  keys: Keys,
  tag: string,
  frames: readonly OutgoingFrame[],
): Promise<EmitResult[]> {
  const replies: string[] = [];
  const records: Buffer[] = [];
  // All records in one argument: each Buffer among the arguments is a piece of its own for the socket.
  const publish = connection.sharded ? "SPUBLISH" : "PUBLISH";
  const args: Argument[] = [keys.channel(tag), publish, String(LINGER_MS), NOTHING];
  for (const { task, attempt, seq, last, bytes } of frames) {
    replies.push(keys.reply(task));
    records.push(bytes);
    args.push(`${attempt}-${seq}`, `${last ? "e" : "f"}${bytes.length}`);
  }
  args[RECORDS_AT] = Buffer.concat(records);
  const [first] = frames;
  if (frames.length === 1 && first !== undefined && first.bytes.length > MOST_PUBLISHED)
    args.push(nudgeFor(first));
  const codes = asArray(await run(connection, EMIT, replies, args));
  return frames.map((_frame, index) => RESULTS[Number(codes[index])] ?? "gone");
}

/** `fresh`: nothing was sent yet. `begun`: frames of an earlier attempt may have reached the client. */
export type ClaimState = "gone" | "fresh" | "begun" | "answered";

const STATES: readonly ClaimState[] = ["gone", "fresh", "begun", "answered"];

/**
 * Fences all earlier attempts of a task. Returns the attempt number to use, and how many attempts a fresh task has had,
 * this one included.
 */
export async function claimReply(
  connection: Connection,
  keys: Keys,
  claim: {
    readonly task: string;
    readonly attempt: number;
    readonly worker: string;
    /** The worker that was lost with it; absent when it was handed back. */
    readonly lost?: string | undefined;
  },
): Promise<ClaimedReply> {
  const args = [String(claim.attempt), claim.worker, ...(claim.lost === undefined ? [] : [claim.lost])];
  const [state, attempt, ordinal = 1, ...notes] = asArray(
    await run(connection, CLAIM, [keys.reply(claim.task)], args),
  );
  return {
    state: STATES[Number(state)] ?? "gone",
    attempt: Number(asText(attempt)),
    ordinal: Number(ordinal),
    ...(notes.length === 0 ? {} : { earlier: notes.flatMap((note) => parseNote(note) ?? []) }),
  };
}

/** A task that was claimed, and how its earlier attempts failed that were handed back; absent for none. */
export interface ClaimedReply {
  readonly state: ClaimState;
  readonly attempt: number;
  readonly ordinal: number;
  readonly earlier?: readonly AttemptNote[];
}

/** Where a gateway stands in a reply stream. */
export interface Cursor {
  readonly task: string;
  readonly attempt: number;
  readonly seq: number;
}

/** A record of a reply stream: a frame, or the mark that a later attempt has begun. */
export type ReplyRecord =
  | { readonly type: "frame"; readonly bytes: Buffer }
  | { readonly type: "claim"; readonly attempt: number; readonly notes?: readonly AttemptNote[] };

/** Reads what follows each cursor, at most `count` records per task; tasks without news are left out. */
export async function readReplies(
  connection: Connection,
  keys: Keys,
  cursors: readonly Cursor[],
  count: number,
): Promise<Map<string, ReplyRecord[]>> {
  const tasks = new Map(cursors.map((cursor) => [keys.reply(cursor.task), cursor.task]));
  const ids = cursors.map((cursor) => (cursor.attempt === 0 ? "0-1" : `${cursor.attempt}-${cursor.seq}`));
  const reply = await connection.command("XREAD", "COUNT", String(count), "STREAMS", ...tasks.keys(), ...ids);
  const records = new Map<string, ReplyRecord[]>();
  for (const [key, entries] of asStreams(reply)) {
    const list = entries.map((entry) => toRecord(entry.id, entry.fields));
    records.set(tasks.get(key) ?? "", list);
  }
  return records;
}

function toRecord(id: string, fields: readonly Buffer[]): ReplyRecord {
  const [name, value] = fields;
  if (asText(name) === "c" || value === undefined) {
    const claim = { type: "claim", attempt: Number.parseInt(id, 10) } as const;
    const notes = notesIn(fields);
    return notes.length === 0 ? claim : { ...claim, notes };
  }
  return { type: "frame", bytes: value };
}

/** Renews the life of reply streams that a slow client still has to read; a longer life is not cut. */
export async function keepReplies(
  connection: Connection,
  keys: Keys,
  tasks: readonly string[],
): Promise<void> {
  const life = String(LINGER_MS);
  await Promise.all(tasks.map(async (task) => connection.command("PEXPIRE", keys.reply(task), life, "GT")));
}

/** Cuts off what lies before the cursor: its client has it. The record at the cursor stays, it tells who may go on. */
export async function trimReply(connection: Connection, keys: Keys, cursor: Cursor): Promise<void> {
  const id = `${cursor.attempt}-${cursor.seq}`;
  await connection.command("XTRIM", keys.reply(cursor.task), "MINID", id);
}

/** Drops the reply streams of tasks nobody waits for: their workers see `gone`. */
export async function dropReplies(
  connection: Connection,
  keys: Keys,
  tasks: readonly string[],
): Promise<void> {
  await connection.command("UNLINK", ...tasks.map((task) => keys.reply(task)));
}

/** Of the tasks given, those whose reply stream still exists. */
export async function openAmong(
  connection: Connection,
  keys: Keys,
  tasks: readonly string[],
): Promise<Set<string>> {
  const found = await Promise.all(tasks.map(async (task) => connection.command("EXISTS", keys.reply(task))));
  return new Set(tasks.filter((_task, index) => found[index] === 1));
}
