import type { Settings } from "../../config/settings.ts";
import { Fault } from "../../core/fault.ts";
import { ByteQuota } from "../http/byte-quota.ts";
import type { PendingWrites, WaitingWrite } from "../http/pending-writes.ts";
import type { Exchange } from "./exchange.ts";

/** The open tasks of one model at this gateway. */
interface ModelLoad {
  readonly tasks: ByteQuota;
  /** Bytes of their bodies. */
  readonly bytes: ByteQuota;
}

/** Decides whether one more task may be opened. A rejected client gets a time to wait. */
export class Admission {
  readonly #settings: Settings;
  readonly #mono: () => number;
  readonly #held: Pick<HeldReplies, "refusal"> | undefined;
  readonly #open: ByteQuota;
  readonly #models = new Map<string, ModelLoad>();

  /** @param held bound on the replies of all clients; unbounded when absent */
  constructor(settings: Settings, mono: () => number, held?: Pick<HeldReplies, "refusal">) {
    this.#settings = settings;
    this.#mono = mono;
    this.#held = held;
    this.#open = new ByteQuota(settings.maxOpen, mono);
  }

  /** `replies_full` or `overloaded` when not one more task of any model may be opened, else undefined. */
  overloaded(): Fault | undefined {
    const full = this.#held?.refusal();
    if (full !== undefined) return full;
    if (this.#open.fits(1)) return undefined;
    const retryAfter = this.#open.waitFor(1);
    return new Fault("overloaded", "server busy, please try again.  maximum open requests exceeded", {
      retryAfter,
    });
  }

  /** Throws as {@link overloaded}, or `queue_full` when the model has too many open tasks or bytes of bodies here. */
  admit(model: string, bytes: number): void {
    const overloaded = this.overloaded();
    if (overloaded !== undefined) throw overloaded;
    const load = this.#models.get(model);
    if (load === undefined) return;
    if (!load.tasks.fits(1)) throw queueFull(load.tasks.waitFor(1));
    if (!load.bytes.fits(bytes)) throw queueFull(load.bytes.waitFor(bytes));
  }

  opened(model: string, bytes: number): void {
    let load = this.#models.get(model);
    if (load === undefined) this.#models.set(model, (load = this.#newLoad()));
    this.#open.take(1);
    load.tasks.take(1);
    load.bytes.take(bytes);
  }

  ended(model: string, bytes: number): void {
    const load = this.#models.get(model);
    if (load === undefined) return;
    this.#open.give(1);
    load.tasks.give(1);
    load.bytes.give(bytes);
    if (load.tasks.used === 0) this.#models.delete(model);
  }

  #newLoad(): ModelLoad {
    const { maxQueue, maxQueueBytes } = this.#settings;
    return {
      tasks: new ByteQuota(maxQueue, this.#mono),
      bytes: new ByteQuota(maxQueueBytes, this.#mono),
    };
  }
}

/** In Ollama's words. */
function queueFull(retryAfter: number): Fault {
  const message = "server busy, please try again.  maximum pending requests exceeded";
  return new Fault("queue_full", message, { retryAfter });
}

/** New requests are rejected from this share of the bound on. */
const NEARLY_FULL = 0.75;

/** Near the bound a client that has taken nothing for this long (ms) is cut to make room for others. */
const IDLE_MS = 5000;

export interface HeldRepliesOptions {
  /** Bytes. */
  readonly limit: number;
  readonly mono: () => number;
  /** Last bytes of replies that are over, in this process's memory. */
  readonly pendingWrites: PendingWrites;
  /** Open exchanges: their waiting bytes lie in Redis. */
  readonly exchanges: () => Iterable<Exchange>;
  /** Called for each cut client. */
  readonly onCut: () => void;
}

/**
 * Bounds the bytes that the replies of all clients together hold, in this process and in Redis. Each reply is bounded by
 * itself, but there may be many clients that request much and read nothing. Near the bound new requests are rejected,
 * and large answers stay in Redis. Then, and at the bound, the client with most bytes is cut if it takes nothing.
 */
export class HeldReplies {
  readonly #options: HeldRepliesOptions;
  /** Measures the pace at which room becomes free. */
  readonly #quota: ByteQuota;
  /** Bytes of open replies that wait in Redis, as of the last check. */
  #behind = 0;
  /** True when a request or a reply has waited for room since the last check. */
  #isWanted = false;

  constructor(options: HeldRepliesOptions) {
    this.#options = options;
    this.#quota = new ByteQuota(options.limit, options.mono);
  }

  /** Bytes in this process's memory. */
  get here(): number {
    return this.#options.pendingWrites.bytes;
  }

  /** Bytes in Redis that are known to wait for slow clients. */
  get behind(): number {
    return this.#behind;
  }

  /** `replies_full` when no new request should be accepted, else undefined. */
  refusal(): Fault | undefined {
    const { limit } = this.#options;
    const used = this.#used();
    if (used < limit * NEARLY_FULL) return undefined;
    // Else a few clients that read nothing shut out all others for as long as they stay.
    this.#isWanted = true;
    const retryAfter = this.#quota.waitFor(Math.max(1, used - limit * NEARLY_FULL));
    return new Fault(
      "replies_full",
      "server busy, please try again.  too many answers wait for their clients",
      {
        retryAfter,
      },
    );
  }

  /** True when a large reply may be fetched from Redis. Else slow clients make room, and the caller comes again. */
  hasRoom(): boolean {
    if (this.#used() < this.#options.limit) return true;
    this.#isWanted = true;
    return false;
  }

  /** Call twice a second: cuts slow clients that keep others waiting. */
  check(): void {
    const { exchanges, limit } = this.#options;
    this.#behind = 0;
    const slow: Exchange[] = [];
    for (const exchange of exchanges()) {
      if (exchange.behind === 0) continue;
      this.#behind += exchange.behind;
      if (exchange.stalled) slow.push(exchange);
    }
    // This measures the pace too: bytes that are held no longer were taken.
    this.#used();
    if (this.#used() > limit) this.#cut(slow, 0);
    else if (this.#isWanted) this.#cut(slow, IDLE_MS);
    this.#isWanted = false;
  }

  #used(): number {
    const used = this.here + this.#behind;
    const change = used - this.#quota.used;
    if (change > 0) this.#quota.take(change);
    else if (change < 0) this.#quota.give(-change);
    return used;
  }

  /** Cuts the largest first, until new requests are accepted again. Spares clients that took bytes within `idleMs`. */
  #cut(slow: readonly Exchange[], idleMs: number): void {
    const { limit, mono, pendingWrites, onCut } = this.#options;
    const since = mono() - idleMs;
    const held: readonly WaitingWrite[] = [...pendingWrites.waiting, ...slow.map(writeOf)]
      .filter(({ movedAt }) => movedAt <= since)
      .toSorted((one, other) => other.bytes - one.bytes);
    let used = this.#used();
    for (const write of held) {
      if (used < limit * NEARLY_FULL) return;
      used -= write.bytes;
      write.cut();
      onCut();
    }
  }
}

function writeOf(exchange: Exchange): WaitingWrite {
  return {
    bytes: exchange.behind,
    movedAt: exchange.wroteAt,
    cut: () => {
      exchange.fail(new Fault("slow_client", "the client took nothing, and others wait for room"));
    },
  };
}
