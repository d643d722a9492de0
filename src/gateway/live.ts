import { viewFleet } from "../core/fleet-view.ts";
import type { FleetView } from "../core/fleet-view.ts";
import { RecentFaults } from "../core/recent-faults.ts";
import type { FaultsView } from "../core/recent-faults.ts";
import type { Connection } from "../redis/connection.ts";
import { readFleet } from "../redis/fleet-status.ts";
import type { Keys } from "../redis/keys.ts";
import { LogReader } from "../redis/task-log.ts";
import type { Exchange } from "./exchange.ts";
import type { Headers, HttpReply, HttpRequest } from "./http.ts";
import type { Meter } from "./meter.ts";
import { plainIdHeaders } from "./request-id.ts";

/** What a live page is sent, once a second. No word of a prompt or an answer is in it. */
export interface Snapshot {
  /** Ms since 1970. */
  readonly at: number;
  readonly gateway: { readonly tag: string; readonly version: string };
  /** Why no request can be served now; absent when they can. */
  readonly unready?: string;
  /** As last seen; absent before the first look. */
  readonly fleet?: FleetView;
  /** Of all gateways. */
  readonly faults: FaultsView;
  /** Of this gateway: how many are open, and the oldest of them. */
  readonly requests: { readonly open: number; readonly oldest: readonly RequestView[] };
  /** Tokens through this gateway in each of the last seconds, the newest last. */
  readonly seconds: readonly number[];
}

export interface RequestView {
  readonly task: string;
  readonly request: string;
  readonly endpoint: string;
  readonly model: string;
  readonly worker?: string;
  readonly phase: string;
  readonly ageMs: number;
  /** Given to the client so far, about. */
  readonly tokens: number;
  readonly attempts: number;
  /** True while the client takes nothing. */
  readonly stalled: boolean;
}

export interface LiveOptions {
  readonly connection: Connection;
  readonly keys: Keys;
  readonly gateway: Snapshot["gateway"];
  readonly meter: Meter;
  /** How long a model without workers is still shown, ms. */
  readonly memoryMs: number;
  /** Ms since 1970, and ms, monotonic. */
  readonly now: () => number;
  readonly mono: () => number;
  /** Those that are open, in no order. */
  readonly exchanges: () => Iterable<Exchange>;
  readonly unready: () => Error | undefined;
}

const SNAPSHOT_MS = 1000;

/** Pages served at once; each costs a copy of the snapshot per second. */
const MOST_VIEWERS = 32;

const MOST_REQUESTS = 50;

const HEAD: Headers = [
  ["content-type", "text/event-stream"],
  ["cache-control", "no-cache"],
  ["x-accel-buffering", "no"],
];

/** Sends snapshots of the fleet to live pages: one a second, the same for all, and only while there are pages. */
export class Live {
  readonly #options: LiveOptions;
  /** True for those whose socket has room. */
  readonly #viewers = new Map<HttpReply, boolean>();
  #log: LogReader;
  #faults = new RecentFaults();
  #fleet: FleetView | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: LiveOptions) {
    this.#options = options;
    this.#log = new LogReader(options.connection, options.keys);
  }

  /** Takes a viewer in: an event stream of {@link Snapshot}s. */
  watch(request: HttpRequest, reply: HttpReply): void {
    const ids = plainIdHeaders(request);
    if (request.method === "HEAD") {
      reply.start(200, [...HEAD, ...ids], Buffer.alloc(0));
      return;
    }
    if (this.#viewers.size >= MOST_VIEWERS) {
      reply.send(503, [["retry-after", "10"], ...ids], "too many live pages are open");
      return;
    }
    this.#viewers.set(reply, true);
    reply.onAbort(() => {
      this.#leave(reply);
    });
    reply.onDrain(() => {
      this.#viewers.set(reply, true);
    });
    reply.start(200, [...HEAD, ...ids], Buffer.from("retry: 2000\n\n"));
    if (this.#timer === undefined) this.#begin();
    else void this.#tick();
  }

  /** Ends all event streams. */
  stop(): void {
    for (const reply of this.#viewers.keys()) reply.end();
    this.#viewers.clear();
    this.#rest();
  }

  #begin(): void {
    this.#log = new LogReader(this.#options.connection, this.#options.keys);
    this.#faults = new RecentFaults();
    this.#timer = setInterval(() => {
      void this.#tick();
    }, SNAPSHOT_MS);
    void this.#tick();
  }

  #leave(reply: HttpReply): void {
    this.#viewers.delete(reply);
    if (this.#viewers.size === 0) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #tick(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#look();
    } catch {
      // Redis is away: the last view stands, and the snapshot says why.
    } finally {
      this.#looking = false;
    }
    this.#send();
  }

  async #look(): Promise<void> {
    const { connection, keys, now, memoryMs } = this.#options;
    const [fleet, news] = await Promise.all([
      readFleet(connection, keys, now() - memoryMs),
      this.#log.read(),
    ]);
    this.#fleet = viewFleet({ ...fleet, now: now() });
    this.#faults.add(news);
  }

  #send(): void {
    const event = Buffer.from(`data: ${JSON.stringify(this.#snapshot())}\n\n`);
    for (const [reply, hasRoom] of this.#viewers) {
      // A page that cannot keep up misses snapshots; the next one tells all.
      if (hasRoom) this.#viewers.set(reply, reply.write(event));
    }
  }

  #snapshot(): Snapshot {
    const { gateway, meter, now, unready, exchanges } = this.#options;
    const open = [...exchanges()].toSorted((one, other) => one.startedAt - other.startedAt);
    const why = unready()?.message;
    return {
      at: now(),
      gateway,
      ...(why === undefined ? {} : { unready: why }),
      ...(this.#fleet === undefined ? {} : { fleet: this.#fleet }),
      faults: this.#faults.view(now()),
      requests: {
        open: open.length,
        oldest: open.slice(0, MOST_REQUESTS).map((exchange) => this.#requestView(exchange)),
      },
      seconds: meter.seconds,
    };
  }

  #requestView(exchange: Exchange): RequestView {
    const { task, model, worker = exchange.track.holder, phase, attempts, stalled, startedAt } = exchange;
    return {
      task: task.id,
      request: task.requestId,
      endpoint: task.endpoint,
      model,
      ...(worker === undefined ? {} : { worker }),
      phase,
      ageMs: Math.round(this.#options.mono() - startedAt),
      tokens: this.#options.meter.tokensOf(exchange),
      attempts,
      stalled,
    };
  }
}
