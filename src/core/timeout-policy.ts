import { Fault } from "./fault.ts";
import { ownPhases, parseModelTimeouts, parseTimeouts, shorten } from "./timeouts.ts";
import type { PhaseLimits, TimeoutPhase, Timeouts } from "./timeouts.ts";

/** The timeouts of all requests, in ms, as the settings name them. */
export interface FleetTimeouts {
  readonly queueTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly firstTokenTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly taskTimeoutMs: number;
  /** See `parseModelTimeouts`. */
  readonly modelTimeouts: string;
}

/** The timeouts of one request. */
export interface OwnTimeouts extends Timeouts {
  /** Phases in which the client allows less time than the fleet; absent for none. */
  readonly own?: readonly TimeoutPhase[] | undefined;
}

/** The timeouts of requests: by the settings, those of their model, and their own header. */
export class TimeoutPolicy {
  readonly #usual: Timeouts;
  readonly #models: ReadonlyMap<string, Timeouts>;

  constructor(settings: FleetTimeouts) {
    const usual = {
      queue: settings.queueTimeoutMs,
      connect: settings.connectTimeoutMs,
      firstToken: settings.firstTokenTimeoutMs,
      idle: settings.idleTimeoutMs,
      total: settings.taskTimeoutMs,
    };
    this.#usual = usual;
    const models = [...parseModelTimeouts(settings.modelTimeouts)];
    this.#models = new Map(models.map(([model, own]) => [model, { ...usual, ...own }]));
  }

  /**
   * @param model model key
   * @param header the request's own, empty without one: it can only shorten the timeouts of the settings
   * @throws Fault `invalid_request` for a header that cannot be read
   */
  of(model: string, header: string): OwnTimeouts {
    const most = this.#models.get(model) ?? this.#usual;
    if (header === "") return most;
    const own = parseTimeouts(header);
    if (own === undefined) throw new Fault("invalid_request", BAD_HEADER);
    const counting = shorten(most, own);
    const phases = ownPhases(most, counting);
    return phases.length === 0 ? counting : { ...counting, own: phases };
  }
}

const BAD_HEADER =
  "x-sgnet-timeouts must be like first-token=60000, total=120000, with queue, connect, first-token, idle or total and ms";

/** The limits that travel with a task which is accepted now. @param now wall clock, ms */
export function limitsFrom(timeouts: Timeouts, now: number): PhaseLimits {
  const { queue, connect, firstToken, idle, total } = timeouts;
  // A wait in the queue as long as the whole life needs no check of its own.
  const queueUntil = queue > 0 && queue < total ? now + queue : 0;
  return { queueUntil, connectMs: connect, firstTokenMs: firstToken, idleMs: idle };
}
