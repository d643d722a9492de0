import { Fault, toFault } from "../core/fault.ts";
import type { Frame } from "../core/frame.ts";
import { IdTable } from "../core/id-table.ts";
import { ownFault } from "../core/own-stall.ts";
import { isOver } from "../core/phase.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { keepReplies, readReplies } from "../redis/reply-stream.ts";
import type { ReplyRecord } from "../redis/reply-stream.ts";
import type { StallMeter } from "../telemetry/stall-meter.ts";
import { decodeFrames } from "../wire/frame-codec.ts";
import { LAST_PATIENCE_MS } from "./exchange.ts";
import type { Exchange } from "./exchange.ts";
import { nextBatch } from "./read-batch.ts";
import { lostFault } from "./lost-fault.ts";

/** Records read per stream by one command: bounds the size of one answer of Redis. */
const RECORDS_PER_READ = 64;

/** Stalled replies are kept every 20 s; a reply lives 60 s after its end. */
const LOOKS_PER_KEEP = 40;

/** How often deadlines and silences are looked at, ms. */
const LOOK_MS = 500;

/** After a stall of its own this gateway judges nothing for so long, ms. */
const SETTLE_MS = 1000;

/** A stall is why a request was late when it took so much of its life. */
const STALLED_SHARE = 0.2;

export interface RepliesOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly mono: () => number;
  readonly stalls: Pick<StallMeter, "since" | "latest">;
  /** Whether a large reply may be fetched now; asked again a moment later. */
  readonly hasRoom: () => boolean;
  readonly onGapFilled: () => void;
  readonly onFrames: (count: number, bytes: number) => void;
  /** Called for every open exchange, every {@link LOOK_MS}. */
  readonly onLook: (exchange: Exchange) => void;
  /** Called for an exchange of which nothing has come for long, at each look for it. */
  readonly onSilent: (exchange: Exchange) => void;
  /** Called for an exchange that has not begun and may not wait for a worker any longer. */
  readonly onOverdue: (exchange: Exchange) => void;
  /** A payload that is no frame: dropped, the stream has the truth. */
  readonly onBadPayload: (error: unknown) => void;
}

/**
 * Brings frames to their exchanges. The channel is quick but forgets; the reply streams are the truth and are read
 * when a gap shows, after a reconnect, after a full socket has drained, and when a reply is silent for too long.
 */
export class Replies {
  readonly #options: RepliesOptions;
  readonly #exchanges = new IdTable<Exchange>();
  readonly #wanted = new Set<Exchange>();
  #reading = false;
  #looks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RepliesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#exchanges.size;
  }

  /** All that are open now, in no order. */
  all(): Exchange[] {
    return this.#exchanges.values();
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#look();
    }, LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  add(exchange: Exchange): void {
    this.#exchanges.set(exchange.task.id, exchange);
  }

  remove(exchange: Exchange): void {
    this.#exchanges.delete(exchange.task.id);
    this.#wanted.delete(exchange);
  }

  /** A message of the gateway's channel: one or more frames. */
  receive(payload: Buffer): void {
    const frames = this.#decode(payload);
    this.#options.onFrames(frames.length, payload.length);
    for (const frame of frames) this.#exchanges.get(frame.task)?.receive(frame);
  }

  /** Reads an exchange's reply stream from its cursor, soon, together with others. */
  fill(exchange: Exchange): void {
    this.#wanted.add(exchange);
    this.#schedule();
  }

  /** After a reconnect every reply may have missed frames. */
  fillAll(): void {
    for (const exchange of this.#exchanges.values()) this.#wanted.add(exchange);
    this.#schedule();
  }

  #decode(payload: Buffer): Frame[] {
    try {
      return decodeFrames(payload);
    } catch (error) {
      this.#options.onBadPayload(error);
      return [];
    }
  }

  #schedule(): void {
    if (this.#reading) return;
    this.#reading = true;
    setImmediate(() => {
      void this.#readWanted();
    });
  }

  async #readWanted(): Promise<void> {
    try {
      for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch())
        await this.#read(batch);
    } catch {
      // Redis is away: the reconnect, or the next look, asks again.
      this.#wanted.clear();
    } finally {
      this.#reading = false;
    }
  }

  #nextBatch(): readonly Exchange[] {
    const batch = nextBatch(this.#wanted, this.#options.hasRoom);
    for (const exchange of batch) this.#wanted.delete(exchange);
    return batch;
  }

  async #read(batch: readonly Exchange[]): Promise<void> {
    const cursors = batch.filter((exchange) => !isOver(exchange.phase)).map((exchange) => exchange.cursor);
    if (cursors.length === 0) return;
    const { connection, keys } = this.#options;
    const news = await readReplies(connection, keys, cursors, RECORDS_PER_READ);
    for (const [task, records] of news) {
      const exchange = this.#exchanges.get(task);
      if (exchange !== undefined) this.#applyRecords(exchange, records);
    }
  }

  /** Reads one reply stream now: true when something new was there. Rejects when Redis is away. */
  async hasNews(exchange: Exchange): Promise<boolean> {
    const { connection, keys } = this.#options;
    const news = await readReplies(connection, keys, [exchange.cursor], RECORDS_PER_READ);
    const records = news.get(exchange.task.id) ?? [];
    this.#applyRecords(exchange, records);
    return records.length > 0;
  }

  #applyRecords(exchange: Exchange, records: readonly ReplyRecord[]): void {
    const { cursor } = exchange;
    for (const record of records) {
      if (record.type === "claim") this.#claimed(exchange, record);
      else this.#receiveRecord(exchange, record.bytes);
    }
    const moved = exchange.cursor.seq !== cursor.seq || exchange.cursor.attempt !== cursor.attempt;
    if (moved) this.#options.onGapFilled();
    // A full batch may have more behind it; a stalled exchange asks again when it has drained.
    const more = records.length >= RECORDS_PER_READ && !exchange.stalled && !isOver(exchange.phase);
    if (more && moved) this.#wanted.add(exchange);
  }

  #claimed(exchange: Exchange, { attempt, notes = [] }: ReplyRecord & { readonly type: "claim" }): void {
    exchange.claimed(attempt);
    // The note of a hand-back comes with a mark like that of a claim: it has the last word.
    for (const note of notes) exchange.noted(attempt, note);
  }

  /** What cannot be read here cannot be read later: a newer worker's, perhaps. */
  #receiveRecord(exchange: Exchange, bytes: Buffer): void {
    try {
      for (const frame of decodeFrames(bytes)) this.#receiveTruth(exchange, frame);
    } catch (error) {
      this.#options.onBadPayload(error);
      exchange.fail(toFault(error));
    }
  }

  /** The reply stream has no gaps of its own: one that is there cannot be filled, Redis lost what it had. */
  #receiveTruth(exchange: Exchange, frame: Frame): void {
    exchange.receive(frame);
    const { attempt, seq } = exchange.cursor;
    if (exchange.stalled || isOver(exchange.phase) || frame.attempt !== attempt || frame.seq <= seq) return;
    exchange.fail(lostFault(exchange, this.#options.stalls, "a part of the answer was lost"));
  }

  /** Replies whose reader is slow must not expire under it. */
  #keepStalled(): void {
    const stalled = this.#exchanges.values().filter((exchange) => exchange.stalled);
    if (stalled.length === 0) return;
    const tasks = stalled.map((exchange) => exchange.task.id);
    keepReplies(this.#options.connection, this.#options.keys, tasks).catch(() => undefined);
  }

  #look(): void {
    this.#looks += 1;
    if (this.#looks % LOOKS_PER_KEEP === 0) this.#keepStalled();
    const mono = this.#options.mono();
    // Frames that came while this gateway stood still are unread. Until they are read, no reply counts as late.
    if (this.#options.stalls.latest(SETTLE_MS) === 0) {
      for (const exchange of this.#exchanges.values()) this.#judge(exchange, mono);
    }
    if (this.#wanted.size > 0) this.#schedule();
  }

  #judge(exchange: Exchange, mono: number): void {
    if (mono >= exchange.endsAt) {
      exchange.fail(this.#lateFault(exchange));
    } else {
      if (mono >= exchange.queueLookAt && !exchange.begun) this.#options.onOverdue(exchange);
      this.#lookForSilence(exchange, mono);
    }
    this.#options.onLook(exchange);
  }

  /** The gateway is to blame when it stood still for a good part of the request's life. */
  #lateFault(exchange: Exchange): Fault {
    const { startedAt, endsAt } = exchange;
    const stalledMs = this.#options.stalls.since(startedAt);
    const isOurs = stalledMs > 0 && stalledMs >= (endsAt - startedAt) * STALLED_SHARE;
    return isOurs ? ownFault(stalledMs, LATE) : overdue(exchange);
  }

  #lookForSilence(exchange: Exchange, mono: number): void {
    const lastAt = Math.max(exchange.heardAt, exchange.askedAt);
    if (exchange.stalled || mono - lastAt < exchange.patienceMs) return;
    // Not silent: it lies in Redis until there is room for it here. A look for what became of it would fetch it.
    if (exchange.isLarge && !this.#options.hasRoom()) return;
    exchange.askedAt = mono;
    if (exchange.patienceMs >= LAST_PATIENCE_MS) this.#options.onSilent(exchange);
    exchange.patienceMs = Math.min(exchange.patienceMs * 2, LAST_PATIENCE_MS);
    this.#wanted.add(exchange);
  }
}

const LATE = "the request was not answered in time";

/** Blames the client for its own limit. Blames the workers where none has sent anything: there are too few of them. */
function overdue({ task, worker, tries }: Exchange): Fault {
  const isOwn = task.own?.includes("total") === true;
  const blame = isOwn ? "client" : worker === undefined && tries.length === 0 ? "worker" : "backend";
  return new Fault("deadline_exceeded", LATE, { blame });
}
