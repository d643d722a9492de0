import { readKeyNames } from "../../core/access/key-names.ts";
import type { KeyNames } from "../../core/access/key-names.ts";
import type { Ambient } from "../../core/ambient.ts";
import { viewFleet } from "./fleet-view.ts";
import type { FleetView } from "./fleet-view.ts";
import { RecentFaults } from "../../core/recent-faults.ts";
import type { FaultsView } from "../../core/recent-faults.ts";
import { LogReader } from "../../redis/inspect/summary-log.ts";
import type { Inspection } from "../../redis/inspect/inspection.ts";
import type { Exchange } from "../requests/exchange.ts";
import type { Headers, HttpReply, HttpRequest } from "../http/http.ts";
import type { TokenMeter } from "./token-meter.ts";
import { plainIdHeaders, UNBUFFERED } from "../http/reply-headers.ts";

/** The state of the fleet that live pages get once a second. It has no word of a prompt or an answer. */
export interface Snapshot {
  /** Ms since 1970. */
  readonly at: number;
  readonly gateway: { readonly tag: string; readonly version: string };
  /** Reason why no request can be served now; absent when requests can be. */
  readonly unready?: string;
  /** As last read; absent before the first reading. */
  readonly fleet?: FleetView;
  /** Faults of all gateways. */
  readonly faults: FaultsView;
  /** Open requests of this gateway: their number, and the oldest. */
  readonly requests: { readonly open: number; readonly oldest: readonly RequestView[] };
  /** Tokens through this gateway in each of the last seconds, the newest last. */
  readonly seconds: readonly number[];
}

export interface RequestView extends KeyNames {
  readonly task: string;
  readonly request: string;
  readonly endpoint: string;
  readonly model: string;
  readonly worker?: string;
  readonly phase: string;
  readonly ageMs: number;
  /** Sent to the client so far (an estimate). */
  readonly tokens: number;
  readonly attempts: number;
  /** True while the client takes no bytes. */
  readonly stalled: boolean;
}

export interface LiveFeedOptions {
  readonly inspection: Pick<Inspection, "fleet" | "summaries">;
  readonly gateway: Snapshot["gateway"];
  readonly meter: TokenMeter;
  /** Time for which a model without workers is still shown (ms). */
  readonly memoryMs: number;
  readonly ambient: Pick<Ambient, "now" | "mono">;
  /** Open exchanges, in any order. */
  readonly exchanges: () => Iterable<Exchange>;
  readonly unready: () => Error | undefined;
  /** Returns false once the key of a page no longer works. Absent: it always does. */
  readonly mayWatch?: ((request: HttpRequest) => boolean) | undefined;
}

/** A page that watches. */
interface Viewer {
  readonly request: HttpRequest;
  /** True while its socket has room. */
  hasRoom: boolean;
}

const SNAPSHOT_MS = 1000;

/** Most pages served at once; each costs a copy of the snapshot per second. */
const MOST_VIEWERS = 32;

const MOST_REQUESTS = 50;

const HEAD: Headers = [["content-type", "text/event-stream"], ...UNBUFFERED];

/** Sends snapshots of the fleet to live pages: one per second, the same for all, and only while pages are open. */
export class LiveFeed {
  readonly #options: LiveFeedOptions;
  readonly #viewers = new Map<HttpReply, Viewer>();
  #log: LogReader;
  #faults = new RecentFaults();
  #fleet: FleetView | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#log = new LogReader(options.inspection.summaries);
  }

  /** Answers with an event stream of {@link Snapshot}s. */
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
    const viewer: Viewer = { request, hasRoom: true };
    this.#viewers.set(reply, viewer);
    reply.onGone(() => {
      this.#leave(reply);
    });
    reply.onDrain(() => {
      viewer.hasRoom = true;
    });
    reply.start(200, [...HEAD, ...ids], Buffer.from("retry: 2000\n\n"));
    if (this.#timer === undefined) this.#begin();
    else void this.#tick();
  }

  /** Ends all event streams. */
  stop(): void {
    for (const reply of this.#viewers.keys()) reply.end();
    this.#viewers.clear();
    this.#stopTimer();
  }

  #begin(): void {
    this.#log = new LogReader(this.#options.inspection.summaries);
    this.#faults = new RecentFaults();
    this.#timer = setInterval(() => {
      void this.#tick();
    }, SNAPSHOT_MS);
    void this.#tick();
  }

  #leave(reply: HttpReply): void {
    this.#viewers.delete(reply);
    if (this.#viewers.size === 0) this.#stopTimer();
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #tick(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      await this.#read();
    } catch {
      // Redis is away: the last view stays, and the snapshot gives the reason.
    } finally {
      this.#isReading = false;
    }
    this.#send();
  }

  async #read(): Promise<void> {
    const { inspection, ambient, memoryMs } = this.#options;
    const [fleet, news] = await Promise.all([
      inspection.fleet.read(ambient.now() - memoryMs),
      this.#log.read(),
    ]);
    this.#fleet = viewFleet({ ...fleet, now: ambient.now() });
    this.#faults.add(news);
  }

  #send(): void {
    const event = Buffer.from(`data: ${JSON.stringify(this.#snapshot())}\n\n`);
    const { mayWatch } = this.#options;
    for (const [reply, viewer] of this.#viewers) {
      if (mayWatch?.(viewer.request) === false) {
        reply.end();
        this.#leave(reply);
        continue;
      }
      // A slow page misses snapshots; the next one has the whole state.
      if (viewer.hasRoom) viewer.hasRoom = reply.write(event);
    }
  }

  #snapshot(): Snapshot {
    const { gateway, meter, ambient, unready, exchanges } = this.#options;
    const now = ambient.now();
    const open = [...exchanges()].toSorted((one, other) => one.startedAt - other.startedAt);
    const why = unready()?.message;
    return {
      at: now,
      gateway,
      ...(why === undefined ? {} : { unready: why }),
      ...(this.#fleet === undefined ? {} : { fleet: this.#fleet }),
      faults: this.#faults.view(now),
      requests: {
        open: open.length,
        oldest: open.slice(0, MOST_REQUESTS).map((exchange) => this.#requestView(exchange)),
      },
      seconds: meter.seconds,
    };
  }

  #requestView(exchange: Exchange): RequestView {
    const { task, model, worker = exchange.holder, phase, attempts, stalled, startedAt } = exchange;
    return {
      task: task.id,
      request: task.requestId,
      endpoint: task.endpoint,
      model,
      ...readKeyNames(task.keyName, task.tenant),
      ...(worker === undefined ? {} : { worker }),
      phase,
      ageMs: Math.round(this.#options.ambient.mono() - startedAt),
      tokens: this.#options.meter.tokensOf(exchange),
      attempts,
      stalled,
    };
  }
}
