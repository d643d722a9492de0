import { toFault } from "../../core/fault.ts";
import type { Frame } from "../../core/frame.ts";
import { IdTable } from "../../core/id-table.ts";
import { hasEnded } from "../../core/task-phase.ts";
import type { ReplyRecord } from "../../redis/reply-records.ts";
import type { Stores } from "../../redis/stores.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Log } from "../../telemetry/log.ts";
import { RateLimitedLog } from "../../telemetry/rate-limited-log.ts";
import type { StallDetector } from "../../telemetry/stall-detector.ts";
import { decodeFrames } from "../../wire/frame-codec.ts";
import type { Exchange } from "./exchange.ts";
import { lostFault } from "./lost-fault.ts";
import { nextBatch } from "./read-batch.ts";

/** Records read per stream by one command: bounds the size of one answer of Redis. */
const RECORDS_PER_READ = 64;

export interface ReplyRouterOptions {
  readonly stores: Pick<Stores, "replies">;
  readonly log: Pick<Log, "warn">;
  readonly metrics: Pick<GatewayMetrics, "frames" | "gapFilled">;
  readonly stalls: Pick<StallDetector, "since">;
  /** True when a large reply may be fetched now. Called again a moment later. */
  readonly hasRoom: () => boolean;
}

/**
 * Routes frames to their exchanges. The channel is quick but may lose a message; the reply streams are the truth. A
 * stream is read at a gap, after a reconnect, when a full socket drained, and after a long silence.
 */
export class ReplyRouter {
  readonly #options: ReplyRouterOptions;
  readonly #exchanges = new IdTable<Exchange>();
  readonly #wanted = new Set<Exchange>();
  /** Each client of Redis that may write can send any number of bad payloads. */
  readonly #badPayloads: RateLimitedLog;
  #isReading = false;

  constructor(options: ReplyRouterOptions) {
    this.#options = options;
    this.#badPayloads = new RateLimitedLog(options.log);
  }

  get size(): number {
    return this.#exchanges.size;
  }

  /** All open exchanges, in no order. */
  readonly all = (): Exchange[] => this.#exchanges.values();

  add(exchange: Exchange): void {
    this.#exchanges.set(exchange.task.id, exchange);
  }

  remove(exchange: Exchange): void {
    this.#exchanges.delete(exchange.task.id);
    this.#wanted.delete(exchange);
  }

  /** Takes a message of the gateway's channel: one or more frames. A payload that is no frame is dropped. */
  readonly receive = (payload: Buffer): void => {
    let frames: readonly Frame[];
    try {
      frames = decodeFrames(payload);
    } catch (error) {
      this.#badPayload(error);
      frames = [];
    }
    this.#options.metrics.frames(frames.length, payload.length);
    for (const frame of frames) this.#exchanges.get(frame.task)?.receive(frame);
  };

  /** Reads an exchange's reply stream from its cursor, soon, together with others. */
  fill(exchange: Exchange): void {
    this.#wanted.add(exchange);
    this.readWanted();
  }

  /** Reads all reply streams: after a reconnect each may have missed frames. */
  fillAll(): void {
    for (const exchange of this.#exchanges.values()) this.#wanted.add(exchange);
    this.readWanted();
  }

  /** Cuts off the part of a reply stream that the client has. */
  trim(exchange: Exchange): void {
    this.#options.stores.replies.trim(exchange.cursor).catch(() => undefined);
  }

  /** True for a large reply that stays in Redis until there is room for it here. */
  waitsForRoom(exchange: Exchange): boolean {
    return exchange.isLarge && !this.#options.hasRoom();
  }

  /** Starts to read the replies that are wanted and not being read. */
  readWanted(): void {
    if (this.#isReading || this.#wanted.size === 0) return;
    this.#isReading = true;
    setImmediate(() => {
      void this.#readBatches();
    });
  }

  /** Reads one reply stream now. @returns true when something new was there. Rejects while Redis is away. */
  async hasNews(exchange: Exchange): Promise<boolean> {
    const news = await this.#options.stores.replies.read([exchange.cursor], RECORDS_PER_READ);
    const records = news.get(exchange.task.id) ?? [];
    this.#applyRecords(exchange, records);
    return records.length > 0;
  }

  async #readBatches(): Promise<void> {
    try {
      for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch())
        await this.#read(batch);
    } catch {
      // Redis is away: the reconnect, or the next check, wants them again.
      this.#wanted.clear();
    } finally {
      this.#isReading = false;
    }
  }

  #nextBatch(): readonly Exchange[] {
    const batch = nextBatch(this.#wanted, this.#options.hasRoom);
    for (const exchange of batch) this.#wanted.delete(exchange);
    return batch;
  }

  async #read(batch: readonly Exchange[]): Promise<void> {
    const cursors = batch.filter((exchange) => !hasEnded(exchange.phase)).map((exchange) => exchange.cursor);
    if (cursors.length === 0) return;
    const news = await this.#options.stores.replies.read(cursors, RECORDS_PER_READ);
    for (const [task, records] of news) {
      const exchange = this.#exchanges.get(task);
      if (exchange !== undefined) this.#applyRecords(exchange, records);
    }
  }

  #applyRecords(exchange: Exchange, records: readonly ReplyRecord[]): void {
    const { cursor } = exchange;
    for (const record of records) {
      if (record.type === "claim") this.#claimed(exchange, record);
      else this.#receiveRecord(exchange, record.bytes);
    }
    const moved = exchange.cursor.seq !== cursor.seq || exchange.cursor.attempt !== cursor.attempt;
    if (moved) this.#options.metrics.gapFilled();
    // A full batch may have more behind it. A stalled exchange wants more when it has drained.
    const more = records.length >= RECORDS_PER_READ && !exchange.stalled && !hasEnded(exchange.phase);
    if (more && moved) this.#wanted.add(exchange);
  }

  #claimed(exchange: Exchange, { attempt, notes = [] }: ReplyRecord & { readonly type: "claim" }): void {
    exchange.claimed(attempt);
    // The note of a requeue comes with a mark like that of a claim: it has the last word.
    for (const note of notes) exchange.noted(attempt, note);
  }

  /** A record that cannot be read now cannot be read later: perhaps a newer worker wrote it. */
  #receiveRecord(exchange: Exchange, bytes: Buffer): void {
    try {
      for (const frame of decodeFrames(bytes)) this.#receiveStored(exchange, frame);
    } catch (error) {
      this.#badPayload(error);
      exchange.fail(toFault(error));
    }
  }

  /** The reply stream has no gaps of its own. A gap there cannot be filled: Redis lost what it had. */
  #receiveStored(exchange: Exchange, frame: Frame): void {
    exchange.receive(frame);
    const { attempt, seq } = exchange.cursor;
    if (exchange.stalled || hasEnded(exchange.phase) || frame.attempt !== attempt || frame.seq <= seq) return;
    exchange.fail(lostFault(exchange, this.#options.stalls, "a part of the answer was lost"));
  }

  #badPayload(error: unknown): void {
    this.#badPayloads.line("bad_payload", () => {
      const reason = toFault(error).message;
      this.#options.log.warn("a message on the reply channel was dropped", { reason });
    });
  }
}
