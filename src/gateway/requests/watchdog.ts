import { Fault } from "../../core/fault.ts";
import { stallFault } from "./lost-fault.ts";
import type { StallDetector } from "../../telemetry/stall-detector.ts";
import type { Exchange } from "./exchange.ts";
import type { Heartbeats } from "./heartbeats.ts";
import type { QueueTimeout } from "./queue-timeout.ts";
import type { Recovery } from "./recovery.ts";
import type { ReplyRouter } from "./reply-router.ts";
import type { SlowClients } from "./slow-clients.ts";

/** Pause between two checks of the open exchanges, ms. */
const CHECK_MS = 500;

/** Stalled replies are kept every 20 s: a reply lives 60 s after its end. */
const CHECKS_PER_KEEP = 40;

/** After a stall of its own this gateway judges nothing for this long, ms. */
const SETTLE_MS = 1000;

/** A stall is why a request was late when it took this share of the request's life. */
const STALLED_SHARE = 0.2;

/** How long may a reply be silent before its stream is read, ms? This long, then twice as long, up to the last. */
const FIRST_PATIENCE_MS = 1000;
const LAST_PATIENCE_MS = 8000;

const LATE = "the request was not answered in time";

export interface WatchdogOptions {
  readonly replies: Pick<ReplyRouter, "all" | "fill" | "readWanted" | "waitsForRoom">;
  readonly queueTimeout: Pick<QueueTimeout, "check">;
  readonly recovery: Pick<Recovery, "silent">;
  readonly slowClients: Pick<SlowClients, "check" | "keepReplies">;
  readonly heartbeats: Pick<Heartbeats, "check">;
  readonly stalls: Pick<StallDetector, "since" | "latest">;
  /** Ms, monotonic. */
  readonly mono: () => number;
}

/** The silence of one reply. */
interface Silence {
  /** Mono ms of the last frame before it. */
  readonly frameAt: number;
  /** Mono ms of the last read of the reply stream, and how long the silence may last before the next. */
  readonly readAt: number;
  readonly patienceMs: number;
}

/** Checks all open exchanges twice a second: deadlines, silence, the wait for a worker, slow clients, heartbeats. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  /** Has an entry only for exchanges that were silent for long. */
  readonly #silences = new WeakMap<Exchange, Silence>();
  #checks = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#checkAll();
    }, CHECK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #checkAll(): void {
    const { replies, slowClients, stalls, mono } = this.#options;
    const exchanges = replies.all();
    this.#checks += 1;
    if (this.#checks % CHECKS_PER_KEEP === 0) slowClients.keepReplies(exchanges);
    const now = mono();
    // Frames that came while this gateway stood still are unread. Until they are read, no reply counts as late.
    if (stalls.latest(SETTLE_MS) === 0) for (const exchange of exchanges) this.#check(exchange, now);
    replies.readWanted();
  }

  #check(exchange: Exchange, now: number): void {
    const { queueTimeout, slowClients, heartbeats } = this.#options;
    if (now >= exchange.endsAt) {
      exchange.fail(this.#lateFault(exchange));
    } else {
      queueTimeout.check(exchange, now);
      this.#checkSilence(exchange, now);
    }
    slowClients.check(exchange);
    heartbeats.check(exchange);
  }

  /** Blames the gateway when it stood still for a good part of the request's life. */
  #lateFault(exchange: Exchange): Fault {
    const { startedAt, endsAt } = exchange;
    const stalledMs = this.#options.stalls.since(startedAt);
    const isOurs = stalledMs > 0 && stalledMs >= (endsAt - startedAt) * STALLED_SHARE;
    return isOurs ? stallFault(stalledMs, LATE) : overdue(exchange);
  }

  #checkSilence(exchange: Exchange, now: number): void {
    const { replies, recovery } = this.#options;
    const { frameAt, lastSignAt } = exchange;
    const before = this.#silences.get(exchange);
    const patienceMs = before?.frameAt === frameAt ? before.patienceMs : FIRST_PATIENCE_MS;
    if (exchange.stalled || now - Math.max(lastSignAt, before?.readAt ?? 0) < patienceMs) return;
    // A reply that waits for room is not silent. To search for it would fetch it.
    if (replies.waitsForRoom(exchange)) return;
    if (patienceMs >= LAST_PATIENCE_MS) recovery.silent(exchange);
    const next = Math.min(patienceMs * 2, LAST_PATIENCE_MS);
    this.#silences.set(exchange, { frameAt, readAt: now, patienceMs: next });
    replies.fill(exchange);
  }
}

/** Blames the client for its own limit. Blames the workers when none has sent anything: there are too few of them. */
function overdue({ task, worker, tries }: Exchange): Fault {
  const isOwn = task.own?.includes("total") === true;
  const blame = isOwn ? "client" : worker === undefined && tries.length === 0 ? "worker" : "backend";
  return new Fault("deadline_exceeded", LATE, { blame });
}
