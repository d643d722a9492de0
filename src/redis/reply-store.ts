import { MOST_NOTES } from "../core/attempt-note.ts";
import type { AttemptNote } from "../core/attempt-note.ts";
import { tagOf } from "../core/task.ts";
import { encodeFrame } from "../wire/frame-codec.ts";
import { notesIn, parseNote } from "./attempt-notes.ts";
import type { Argument, Connection } from "./connection/connection.ts";
import { asArray, asEntries, asStreams, asText } from "./connection/resp.ts";
import { lifeOf } from "./keys.ts";
import type { Keys } from "./keys.ts";
import { bySize, MOST_PUBLISHED, nudgeFor } from "./outgoing-frames.ts";
import type { EmitResult, OutgoingFrame } from "./outgoing-frames.ts";
import { toRecord } from "./reply-records.ts";
import type { Cursor, ReplyRecord } from "./reply-records.ts";
import { CLAIM, EMIT, NOTE, OPEN, run, runInOrder } from "./scripts.ts";

/** Life of a reply stream after its end frame, ms, for a gateway that is slow or was disconnected. */
export const LINGER_MS = 60_000;

const NOTHING = Buffer.alloc(0);
/** Index of the records among the arguments of EMIT. */
const RECORDS_AT = 3;

const RESULTS: readonly EmitResult[] = ["accepted", "gone", "fenced", "refused"];

/** `fresh`: no frame was sent yet. `begun`: frames of an earlier attempt may have reached the client. */
export type ClaimState = "gone" | "fresh" | "begun" | "answered";

const STATES: readonly ClaimState[] = ["gone", "fresh", "begun", "answered"];

/** A claimed task. `earlier` has notes on earlier attempts that failed; absent for none. */
export interface ClaimedReply {
  readonly state: ClaimState;
  readonly attempt: number;
  readonly ordinal: number;
  readonly earlier?: readonly AttemptNote[];
}

/** Most markers of a reply stream that are read for notes. */
const MARKERS = String(4 * MOST_NOTES);

/** The reply streams of tasks, and the channel that carries their frames to a gateway. */
export class ReplyStore {
  readonly #connection: Connection;
  readonly #keys: Keys;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
  }

  /** Listens to the frames of all tasks of a gateway. A message holds the frames of one {@link emit}. */
  async listen(tag: string, listener: (message: Buffer) => void): Promise<void> {
    await this.#connection.subscribe(this.#keys.channel(tag), listener);
  }

  /** The run of the server that has the replies of a gateway, see {@link Connection.serverOf}. */
  serverOf(tag: string): string | undefined {
    return this.#connection.serverOf(this.#keys.channel(tag));
  }

  /** Creates reply streams. `life` is the time until the task's deadline, ms. */
  async open(tasks: readonly { readonly id: string; readonly life: number }[]): Promise<void> {
    const replies = tasks.map((task) => this.#keys.reply(task.id));
    const lives = tasks.map((task) => lifeOf(task.life));
    // A task queued before its reply stream exists looks abandoned to the worker that claims it.
    await runInOrder(this.#connection, OPEN, replies, lives);
  }

  /** Appends frames of tasks of one gateway and publishes them. Sending the same frames again is harmless. */
  async emit(tag: string, frames: readonly OutgoingFrame[]): Promise<EmitResult[]> {
    let size = 0;
    for (const { bytes } of frames) size += bytes.length;
    if (size <= MOST_PUBLISHED) return this.#emitTogether(tag, frames);
    const calls = bySize(frames).map(async (some) => this.#emitTogether(tag, some));
    return (await Promise.all(calls)).flat();
  }

  async #emitTogether(tag: string, frames: readonly OutgoingFrame[]): Promise<EmitResult[]> {
    const replies: string[] = [];
    const records: Buffer[] = [];
    // All records are one argument: each Buffer among the arguments is written to the socket by itself.
    const publish = this.#connection.sharded ? "SPUBLISH" : "PUBLISH";
    const args: Argument[] = [this.#keys.channel(tag), publish, String(LINGER_MS), NOTHING];
    for (const { task, attempt, seq, last, bytes } of frames) {
      replies.push(this.#keys.reply(task));
      records.push(bytes);
      args.push(`${attempt}-${seq}`, `${last ? "e" : "f"}${bytes.length}`);
    }
    args[RECORDS_AT] = Buffer.concat(records);
    const [first] = frames;
    if (frames.length === 1 && first !== undefined && first.bytes.length > MOST_PUBLISHED)
      args.push(nudgeFor(first));
    const codes = asArray(await run(this.#connection, EMIT, replies, args));
    return frames.map((_frame, index) => RESULTS[Number(codes[index])] ?? "gone");
  }

  /**
   * Fences all earlier attempts of a task.
   * @returns the attempt number to use, and for a fresh task its number of attempts, this one included
   */
  async claim(claim: {
    readonly task: string;
    readonly attempt: number;
    readonly worker: string;
    /** The worker that was lost with it; absent when it was requeued. */
    readonly lost?: string | undefined;
  }): Promise<ClaimedReply> {
    const args = [String(claim.attempt), claim.worker, ...(claim.lost === undefined ? [] : [claim.lost])];
    const [state, attempt, ordinal = 1, ...notes] = asArray(
      await run(this.#connection, CLAIM, [this.#keys.reply(claim.task)], args),
    );
    return {
      state: STATES[Number(state)] ?? "gone",
      attempt: Number(asText(attempt)),
      ordinal: Number(ordinal),
      ...(notes.length === 0 ? {} : { earlier: notes.flatMap((note) => parseNote(note) ?? []) }),
    };
  }

  /** Reads the records after each cursor, at most `count` per task. Tasks without new records are left out. */
  async read(cursors: readonly Cursor[], count: number): Promise<Map<string, ReplyRecord[]>> {
    const tasks = new Map(cursors.map((cursor) => [this.#keys.reply(cursor.task), cursor.task]));
    const ids = cursors.map((cursor) => (cursor.attempt === 0 ? "0-1" : `${cursor.attempt}-${cursor.seq}`));
    const reply = await this.#connection.command(
      "XREAD",
      "COUNT",
      String(count),
      "STREAMS",
      ...tasks.keys(),
      ...ids,
    );
    const records = new Map<string, ReplyRecord[]>();
    for (const [key, entries] of asStreams(reply)) {
      const list = entries.map((entry) => toRecord(entry.id, entry.fields));
      records.set(tasks.get(key) ?? "", list);
    }
    return records;
  }

  /** Renews the life of reply streams for slow clients. A longer life is not cut. */
  async prolong(tasks: readonly string[]): Promise<void> {
    const life = String(LINGER_MS);
    await Promise.all(
      tasks.map(async (task) => this.#connection.command("PEXPIRE", this.#keys.reply(task), life, "GT")),
    );
  }

  /** Trims the records before the cursor: the client has them. The record at the cursor stays as the fence. */
  async trim(cursor: Cursor): Promise<void> {
    const id = `${cursor.attempt}-${cursor.seq}`;
    await this.#connection.command("XTRIM", this.#keys.reply(cursor.task), "MINID", id);
  }

  /** Removes reply streams: the workers of their tasks see `gone`. */
  async drop(tasks: readonly string[]): Promise<void> {
    await this.#connection.command("UNLINK", ...tasks.map((task) => this.#keys.reply(task)));
  }

  /** Filters tasks: keeps each one whose reply stream exists. */
  async openAmong(tasks: readonly string[]): Promise<Set<string>> {
    const found = await Promise.all(
      tasks.map(async (task) => this.#connection.command("EXISTS", this.#keys.reply(task))),
    );
    return new Set(tasks.filter((_task, index) => found[index] === 1));
  }

  /** Records how a requeued attempt failed. Resolves with false when the client is gone or another attempt runs. */
  async addNote({
    task,
    attempt,
    note,
  }: {
    readonly task: string;
    readonly attempt: number;
    readonly note: AttemptNote;
  }): Promise<boolean> {
    const tag = tagOf(task);
    const frame = encodeFrame({ task, attempt: attempt + 1, seq: 0, bytes: NOTHING, note });
    const publish = this.#connection.sharded ? "SPUBLISH" : "PUBLISH";
    const args = [
      String(attempt + 1),
      note.worker,
      JSON.stringify(note),
      this.#keys.channel(tag),
      publish,
      frame,
    ];
    // A hint to sweep follows. The worker that it wakes must find the note.
    return (await runInOrder(this.#connection, NOTE, [this.#keys.reply(task)], args)) === 1;
  }

  /** Notes on the attempts of a task so far, and on workers that were lost. The oldest comes first. */
  async readNotes(task: string): Promise<AttemptNote[]> {
    const reply = await this.#connection.command(
      "XREVRANGE",
      this.#keys.reply(task),
      "+",
      "-",
      "COUNT",
      MARKERS,
    );
    return asEntries(reply)
      .toReversed()
      .flatMap(({ fields }) => notesIn(fields))
      .slice(-MOST_NOTES);
  }
}
