import type { Backend } from "../backends/backend.ts";
import type { BackendSlots } from "./backend-slots.ts";
import type { Claimer } from "./claimer.ts";
import type { HealthMonitor } from "./health-monitor.ts";

export interface BackendRegistrationOptions {
  /** All backends of the worker, as its parts see them: a new one is added. */
  readonly allBackendSlots: BackendSlots[];
  readonly slotsOf: (backend: Backend) => BackendSlots;
  /** Rejects when Redis is away. */
  readonly claimerOf: (backendSlots: BackendSlots) => Promise<Claimer>;
  readonly healthMonitor: Pick<HealthMonitor, "check">;
}

/** Gives claimers to the backends of the start, and to backends that are found while the worker runs. */
export class BackendRegistration {
  readonly #options: BackendRegistrationOptions;
  readonly #claimers: Claimer[] = [];
  #isHeld = false;

  constructor(options: BackendRegistrationOptions) {
    this.#options = options;
  }

  /** Makes the claimers of the backends that the worker starts with. Rejects when Redis is away. */
  async open(): Promise<void> {
    const { allBackendSlots, claimerOf } = this.#options;
    for (const backendSlots of allBackendSlots) this.#claimers.push(await claimerOf(backendSlots));
  }

  /** Begins to claim for all of them. */
  start(): void {
    for (const claimer of this.#claimers) claimer.start();
  }

  /** Stops new tasks for all announced backends, and for later ones, or lets them come again. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    for (const one of this.#options.allBackendSlots) if (one.announced) one.hold(isHeld);
    if (isHeld) for (const claimer of this.#claimers) void claimer.interrupt();
  }

  /** Adds a backend. Resolves when it is announced and claims tasks. Rejects when Redis is away. */
  async add(backend: Backend): Promise<void> {
    const { allBackendSlots, slotsOf, claimerOf, healthMonitor } = this.#options;
    const backendSlots = slotsOf(backend);
    const claimer = await claimerOf(backendSlots);
    backendSlots.hold(this.#isHeld);
    allBackendSlots.push(backendSlots);
    this.#claimers.push(claimer);
    await healthMonitor.check(backendSlots);
    claimer.start();
  }

  /** Resolves when no task will be claimed any more. */
  async stop(): Promise<void> {
    await Promise.all(this.#claimers.map(async (claimer) => claimer.stop()));
  }

  /** Closes all backends. */
  async close(): Promise<void> {
    await Promise.all(this.#options.allBackendSlots.map(async ({ backend }) => backend.close()));
  }
}
