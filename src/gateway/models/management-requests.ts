import type { KeyNames } from "../../core/access/key-names.ts";
import { managementQueueKey, MANAGEMENT_ENDPOINTS } from "../../core/management-endpoint.ts";
import type { ManagementEndpoint } from "../../core/management-endpoint.ts";
import type { WorkerAnnouncement } from "../../core/fleet.ts";
import type { ModelCard } from "../../core/model.ts";
import { ANNOUNCE_MS } from "../../redis/registry.ts";
import { ManagementReply } from "./management-reply.ts";
import type { ManagementAnswer } from "./management-reply.ts";
import type { TaskSender } from "../requests/assembly.ts";

/** An Ollama server of the fleet. */
export interface OllamaServer {
  readonly worker: string;
  /** Its name at that worker. */
  readonly backend: string;
  readonly models: readonly ModelCard[];
}

/** Returns the Ollama servers that can be reached now, each once: workers of one machine can share one. */
export function serversOf(workers: readonly WorkerAnnouncement[]): readonly OllamaServer[] {
  const servers = new Map<string, OllamaServer>();
  for (const { id, host, draining, backends } of workers) {
    for (const { name, kind, url, healthy, models } of draining ? [] : backends) {
      const address = `${host} ${url}`;
      if (kind === "ollama" && healthy && !servers.has(address))
        servers.set(address, { worker: id, backend: name, models });
    }
  }
  return [...servers.values()];
}

/** Returns one sentence for each Ollama server that an order to the whole fleet does not reach now. */
export function leftOut(workers: readonly WorkerAnnouncement[]): readonly string[] {
  const reached = new Set(serversOf(workers).map(({ worker, backend }) => `${worker} ${backend}`));
  const addresses = new Set<string>();
  const away = new Map<string, string>();
  for (const { id: worker, host, draining, backends } of workers) {
    for (const { name: backend, kind, url } of backends) {
      const address = `${host} ${url}`;
      if (reached.has(`${worker} ${backend}`)) addresses.add(address);
      else if (kind === "ollama")
        away.set(
          address,
          `${nameOf({ worker, backend })}: not asked, ${draining ? "its worker drains" : "it is down"}`,
        );
    }
  }
  return [...away].flatMap(([address, text]) => (addresses.has(address) ? [] : [text]));
}

/** Returns the name of a server in errors. */
export function nameOf({ worker, backend }: Pick<OllamaServer, "worker" | "backend">): string {
  return `worker ${worker} (${backend})`;
}

export interface ManagementCommand extends KeyNames {
  readonly endpoint: ManagementEndpoint;
  /** The model as the client wrote it, or the digest of a blob. */
  readonly model: string;
  readonly body: Buffer;
}

/** A management request on its way. */
export interface SentManagementRequest {
  readonly answer: Promise<ManagementAnswer>;
  /** Stops it: its answer is no longer wanted. */
  cancel(): void;
}

/** The part of a gateway that management requests need. */
export interface ManagementRequestHost extends Pick<TaskSender, "now" | "newTaskId" | "accept"> {
  /** Ms, monotonic. */
  mono(): number;
  /** Removes a queue without a reader. */
  dropQueue(key: string): void;
}

/**
 * A worker that is missing for this time (ms) is lost. Announcements also expire while Redis is away or its clock is put
 * forward. A live worker has announced itself again by then.
 */
const LOST_MS = 2 * ANNOUNCE_MS;

/** Sends management requests to servers through the queues of their workers, and ends them when a worker is lost. */
export class ManagementRequests {
  readonly #host: ManagementRequestHost;
  /** Open requests, each with its server. */
  readonly #open = new Map<ManagementReply, OllamaServer>();
  /** Workers of open requests that were missing at the last check, each with the mono ms since when. */
  #missing: ReadonlyMap<string, number> = new Map();

  constructor(host: ManagementRequestHost) {
    this.#host = host;
  }

  /** @param onBytes takes a reply in pieces as they arrive */
  send(
    server: OllamaServer,
    order: ManagementCommand,
    onBytes?: (bytes: Buffer) => void,
  ): SentManagementRequest {
    const reply = new ManagementReply(onBytes);
    this.#open.set(reply, server);
    void reply.answer.then(() => this.#open.delete(reply));
    const { stream, lifeMs } = MANAGEMENT_ENDPOINTS[order.endpoint];
    const { keyName, tenant } = order;
    const now = this.#host.now();
    const id = this.#host.newTaskId();
    this.#host.accept(
      {
        id,
        endpoint: order.endpoint,
        model: order.model,
        stream,
        createdAt: now,
        deadline: now + lifeMs,
        requestId: id,
        trace: "",
        body: order.body,
        ...(keyName === undefined ? {} : { keyName, tenant }),
      },
      managementQueueKey(server.worker, server.backend),
      reply,
    );
    return { answer: reply.answer, cancel: () => reply.cancel(499, "the client left") };
  }

  /** Checks open requests after each reading of the fleet: no other worker serves those of a lost one. */
  checkWorkers(workers: readonly WorkerAnnouncement[]): void {
    const present = new Set(workers.map(({ id }) => id));
    const now = this.#host.mono();
    const missing = new Map<string, number>();
    for (const [reply, { worker, backend }] of this.#open) {
      if (present.has(worker)) continue;
      const since = this.#missing.get(worker) ?? now;
      missing.set(worker, since);
      if (now - since < LOST_MS) continue;
      reply.cancel(502, `the worker ${worker} was lost`);
      this.#host.dropQueue(managementQueueKey(worker, backend));
    }
    this.#missing = missing;
  }
}
