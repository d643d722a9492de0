import type { Answer, Backend, BackendState, ReplySink } from "../backends/backend.ts";
import { BLANK_CARD } from "../core/announcement.ts";
import { errandKey, ERRANDS, isErrand } from "../core/errand.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import type { Station } from "./station.ts";

/** Pulls take long and cost the worker nothing: they must not keep short errands waiting. */
const SLOTS = 32;

export interface ErrandDeskOptions {
  readonly worker: string;
  /** Where errands are passed on to: those of them that are Ollama servers. */
  readonly stations: readonly Station[];
  /** Keeps the queues of errands alive in Redis: they vanish with their worker. */
  readonly keep: (keys: readonly string[]) => Promise<void>;
  /** The models of a station may be others now. Resolves when the fleet has been told of them. */
  readonly onChanged: (station: Station) => Promise<void>;
}

/**
 * Runs errands: to the worker it is a backend like others, whose "models" are the Ollama servers of this worker, each
 * with a queue of its own. It is not announced.
 */
export class ErrandDesk implements Backend {
  readonly name: string = "errands";
  readonly kind = "unknown";
  readonly url: string = "";
  readonly #options: ErrandDeskOptions;

  constructor(options: ErrandDeskOptions) {
    this.#options = options;
  }

  async inspect(): Promise<BackendState> {
    const models = this.#managed().map(({ backend }) => cardOf(this.#options.worker, backend.name));
    if (models.length > 0) await this.#options.keep(models.map((card) => card.key));
    return { models, slots: SLOTS };
  }

  /** @param server name of the backend that is to be asked */
  async run(task: Task, server: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    const { endpoint, body } = task;
    const station = this.#managed().find((one) => one.backend.name === server);
    if (!isErrand(endpoint) || station?.backend.manage === undefined) {
      throw new Fault("not_implemented", `the worker cannot pass ${endpoint} on`);
    }
    const { method, path, changes } = ERRANDS[endpoint];
    const whole = path.endsWith("/") ? path + task.model : path;
    try {
      await station.backend.manage({ method, path: whole, body, sink, signal });
    } catch (error) {
      throw finalFault(error);
    } finally {
      // Before the errand ends: who gave the order may rely on its effect at once.
      if (changes) await this.#options.onChanged(station);
    }
    return { usage: undefined };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #managed(): readonly Station[] {
    return this.#options.stations.filter(({ backend }) => backend.kind === "ollama");
  }
}

/** An errand is for one server: where that cannot be reached, handing it to another worker would not help. */
function finalFault(error: unknown): Fault {
  const fault = toFault(error);
  if (fault.code !== "backend_unreachable" && fault.code !== "connect_timeout") return fault;
  return new Fault("backend_error", fault.message, { cause: error });
}

function cardOf(worker: string, backend: string): ModelCard {
  return { ...BLANK_CARD, key: errandKey(worker, backend), name: backend, resident: true };
}
