import { errandKey, ERRANDS } from "../core/errand.ts";
import type { Errand } from "../core/errand.ts";
import type { WorkerAnnouncement } from "../core/fleet.ts";
import type { ModelCard } from "../core/model.ts";
import { ANNOUNCE_MS } from "../redis/registry.ts";
import { ErrandReply } from "./errand-reply.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import type { IntakeHost } from "./intake.ts";

/** An Ollama server of the fleet. */
export interface Server {
  readonly worker: string;
  /** Its name at that worker. */
  readonly backend: string;
  readonly models: readonly ModelCard[];
}

/** The Ollama servers that can be asked now, each once: workers of one machine can share one. */
export function serversOf(workers: readonly WorkerAnnouncement[]): readonly Server[] {
  const servers = new Map<string, Server>();
  for (const { id, host, draining, backends } of workers) {
    for (const { name, kind, url, healthy, models } of draining ? [] : backends) {
      const place = `${host} ${url}`;
      if (kind === "ollama" && healthy && !servers.has(place))
        servers.set(place, { worker: id, backend: name, models });
    }
  }
  return [...servers.values()];
}

/** Ollama servers that cannot be asked now, one sentence each: an order for all of the fleet does not reach them. */
export function leftOut(workers: readonly WorkerAnnouncement[]): readonly string[] {
  const asked = new Set(serversOf(workers).map(({ worker, backend }) => `${worker} ${backend}`));
  const places = new Set<string>();
  const away = new Map<string, string>();
  for (const { id: worker, host, draining, backends } of workers) {
    for (const { name: backend, kind, url } of backends) {
      const place = `${host} ${url}`;
      if (asked.has(`${worker} ${backend}`)) places.add(place);
      else if (kind === "ollama")
        away.set(
          place,
          `${nameOf({ worker, backend })}: not asked, ${draining ? "its worker drains" : "it is down"}`,
        );
    }
  }
  return [...away].flatMap(([place, text]) => (places.has(place) ? [] : [text]));
}

/** How errors name a server. */
export function nameOf({ worker, backend }: Pick<Server, "worker" | "backend">): string {
  return `worker ${worker} (${backend})`;
}

export interface ErrandOrder {
  readonly errand: Errand;
  /** The model as the client wrote it, or the digest of a blob. */
  readonly model: string;
  readonly body: Buffer;
}

/** An errand on its way. */
export interface SentErrand {
  readonly answer: Promise<ErrandAnswer>;
  /** Nobody waits for it any more. */
  cancel(): void;
}

/** What errands need of their gateway. */
export interface ErrandHost extends Pick<IntakeHost, "now" | "newTaskId" | "accept"> {
  /** Ms, monotonic. */
  mono(): number;
  /** Nobody reads this queue any more. */
  dropQueue(key: string): void;
}

/**
 * A worker that is missing for so long, ms, is lost. Announcements expire, too, while Redis is away or its clock is put
 * forward: whoever lives has announced itself again by then.
 */
const LOST_MS = 2 * ANNOUNCE_MS;

/** Sends errands to servers through the queues of their workers, and ends those whose worker has gone. */
export class Errands {
  readonly #host: ErrandHost;
  /** Open errands, with the server each waits for. */
  readonly #open = new Map<ErrandReply, Server>();
  /** Workers of open errands that were not there at the last look, with mono ms since when. */
  #missing: ReadonlyMap<string, number> = new Map();

  constructor(host: ErrandHost) {
    this.#host = host;
  }

  /** @param onBytes takes a reply in pieces as it comes */
  send(server: Server, order: ErrandOrder, onBytes?: (bytes: Buffer) => void): SentErrand {
    const reply = new ErrandReply(onBytes);
    this.#open.set(reply, server);
    void reply.answer.then(() => this.#open.delete(reply));
    const { stream, lifeMs } = ERRANDS[order.errand];
    const now = this.#host.now();
    const id = this.#host.newTaskId();
    this.#host.accept(
      {
        id,
        endpoint: order.errand,
        model: order.model,
        stream,
        createdAt: now,
        deadline: now + lifeMs,
        requestId: id,
        trace: "",
        body: order.body,
      },
      errandKey(server.worker, server.backend),
      reply,
    );
    return { answer: reply.answer, cancel: () => reply.giveUp(499, "the client left") };
  }

  /** To be told at each look at the fleet: no other worker does the errands of one that is gone. */
  workersAre(workers: readonly WorkerAnnouncement[]): void {
    const there = new Set(workers.map(({ id }) => id));
    const now = this.#host.mono();
    const missing = new Map<string, number>();
    for (const [reply, { worker, backend }] of this.#open) {
      if (there.has(worker)) continue;
      const since = this.#missing.get(worker) ?? now;
      missing.set(worker, since);
      if (now - since < LOST_MS) continue;
      reply.giveUp(502, `the worker ${worker} was lost`);
      this.#host.dropQueue(errandKey(worker, backend));
    }
    this.#missing = missing;
  }
}
