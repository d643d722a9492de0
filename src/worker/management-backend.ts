import type { Answer, Backend, BackendState, ReplySink } from "../backends/backend.ts";
import { BLANK_CARD } from "../core/announcement.ts";
import {
  managementQueueKey,
  MANAGEMENT_ENDPOINTS,
  isManagementEndpoint,
} from "../core/management-endpoint.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import type { Stores } from "../redis/stores.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { HealthMonitor } from "./health-monitor.ts";

/** Slots for management requests. Pulls take long and cost the worker nothing: they must not keep short ones waiting. */
const SLOTS = 32;

/** Life of the queues for management requests of a worker that was killed (ms). */
const QUEUE_MS = 60_000;

export interface ManagementBackendOptions {
  readonly stores: Pick<Stores, "queue">;
  readonly worker: string;
  /** All backends of the worker: requests go to the Ollama servers among them. */
  readonly allBackendSlots: readonly BackendSlots[];
  readonly healthMonitor: Pick<HealthMonitor, "checkAndAnnounce">;
}

/**
 * Runs management requests. To the worker it is a backend like others. Its "models" are the Ollama servers of this
 * worker, each with a queue of its own. It is not announced.
 */
export class ManagementBackend implements Backend {
  readonly name: string = "errands";
  readonly kind = "unknown";
  readonly url: string = "";
  readonly #options: ManagementBackendOptions;

  constructor(options: ManagementBackendOptions) {
    this.#options = options;
  }

  /** Keeps the queues alive in Redis: they vanish with their worker. */
  async inspect(): Promise<BackendState> {
    const { stores, worker } = this.#options;
    const models = this.#managed().map(({ backend }) => cardOf(worker, backend.name));
    const queues = models.map((card) => card.key);
    if (queues.length > 0) await stores.queue.expire(queues, QUEUE_MS);
    return { models, slots: SLOTS };
  }

  /** @param server name of the backend that gets the request */
  async run(task: Task, server: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    const { endpoint, body } = task;
    const backendSlots = this.#managed().find((one) => one.backend.name === server);
    if (!isManagementEndpoint(endpoint) || backendSlots?.backend.manage === undefined) {
      throw new Fault("not_implemented", `the worker cannot pass ${endpoint} on`);
    }
    const { method, path, changes } = MANAGEMENT_ENDPOINTS[endpoint];
    const whole = path.endsWith("/") ? path + task.model : path;
    try {
      await backendSlots.backend.manage({ method, path: whole, body, sink, signal });
    } catch (error) {
      throw finalFault(error);
    } finally {
      // Before the end of the request: its client may rely on the effect at once.
      if (changes) await this.#options.healthMonitor.checkAndAnnounce(backendSlots);
    }
    return { usage: undefined };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #managed(): readonly BackendSlots[] {
    return this.#options.allBackendSlots.filter(({ backend }) => backend.kind === "ollama");
  }
}

/** Makes a fault final. The request is for one server: another worker could not reach it either. */
function finalFault(error: unknown): Fault {
  const fault = toFault(error);
  if (fault.code !== "backend_unreachable" && fault.code !== "connect_timeout") return fault;
  return new Fault("backend_error", fault.message, { cause: error });
}

function cardOf(worker: string, backend: string): ModelCard {
  return { ...BLANK_CARD, key: managementQueueKey(worker, backend), name: backend, resident: true };
}
