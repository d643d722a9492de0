import { Fault } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import type { Address } from "./address.ts";
import type {
  Answer,
  Backend,
  BackendKind,
  BackendState,
  ManagementRequest,
  ReplySink,
  SlotLender,
} from "./backend.ts";
import { probeAgain, probeKind } from "./discover.ts";
import { HttpBackend } from "./http-backend.ts";
import type { HttpBackendOptions } from "./http-backend.ts";
import type { HttpKind } from "./profiles.ts";

type Limits = Omit<HttpBackendOptions, "kind" | "target">;

/** How long it is believed that a server that answers is still the same, and how long it may take to tell; ms. */
const BELIEVED_MS = 60_000;
const PROBE_MS = 1000;

export interface ProbedOptions {
  readonly address: Address;
  readonly limits: Limits;
  /** Absent: nothing has answered at the address so far. */
  readonly kind?: HttpKind | undefined;
  readonly mono: () => number;
  /** Another kind of server has taken the place of the one before. */
  readonly onKind?: (name: string, before: string) => void;
}

/**
 * A backend at an address that was given without a kind. It is probed until it answers, and again after each look that
 * failed and once a minute: a server that was replaced by one of another kind is served as that from then on.
 */
export class ProbedBackend implements Backend {
  readonly url: string;
  readonly mayChange = true;
  readonly #options: ProbedOptions;
  #found: HttpBackend | undefined;
  /** Earlier backends, of other kinds, with tasks that still run. */
  readonly #retired = new Set<HttpBackend>();
  lender?: SlotLender;
  #closed = false;
  #isDoubtful = false;
  #probedAt: number;

  constructor(options: ProbedOptions) {
    const { address, kind, limits, mono } = options;
    this.url = address.url;
    this.#options = options;
    this.#probedAt = mono();
    if (kind !== undefined) this.#found = new HttpBackend({ kind, target: address, ...limits });
  }

  /** Tells the kind, once it is known. */
  get name(): string {
    return `${this.kind}@${this.url.replace(/^\w+:\/\//, "")}`;
  }

  get kind(): BackendKind {
    return this.#found?.kind ?? "unknown";
  }

  get quirks(): readonly string[] {
    return this.#found?.quirks ?? [];
  }

  get pieces(): number {
    return this.#found?.pieces ?? 0;
  }

  get loadsOnDemand(): boolean {
    return this.#found?.loadsOnDemand ?? false;
  }

  async inspect(signal: AbortSignal): Promise<BackendState> {
    const found =
      this.#found === undefined ? await this.#find(signal) : await this.#findAgain(this.#found, signal);
    try {
      const state = await found.inspect(signal);
      this.#isDoubtful = false;
      return state;
    } catch (error) {
      this.#isDoubtful = true;
      throw error;
    }
  }

  async #find(signal: AbortSignal): Promise<HttpBackend> {
    const kind = await probeKind(this.#options.address, signal);
    if (this.#closed) throw unreachable();
    // Another inspection may have come first.
    return this.#found ?? this.#take(kind);
  }

  /** A server that does not tell its kind now keeps the kind it had: its inspection says whether it is there. */
  async #findAgain(found: HttpBackend, signal: AbortSignal): Promise<HttpBackend> {
    const { address, mono } = this.#options;
    const now = mono();
    if (!this.#isDoubtful && now - this.#probedAt < BELIEVED_MS) return found;
    this.#probedAt = now;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
    const probe = this.#isDoubtful ? probeKind(address, limit) : probeAgain(address, found.kind, limit);
    const kind = await probe.catch(() => found.kind);
    if (this.#closed) throw unreachable();
    if (this.#found !== found || kind === found.kind) return this.#found ?? found;
    const before = this.name;
    const next = this.#take(kind);
    this.#retire(found);
    this.#options.onKind?.(this.name, before);
    return next;
  }

  /** Behind a proxy the one before may still be there, in the middle of its answers. */
  #retire(before: HttpBackend): void {
    this.#retired.add(before);
    const forget = (): boolean => this.#retired.delete(before);
    void before.retire().then(forget, forget);
  }

  #take(kind: HttpKind): HttpBackend {
    const { address, limits, mono } = this.#options;
    this.#probedAt = mono();
    this.#found = new HttpBackend({ kind, target: address, ...limits });
    return this.#found;
  }

  async run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    if (this.#found === undefined) throw unreachable();
    if (this.lender !== undefined) this.#found.lender = this.lender;
    return this.#found.run(task, model, sink, signal);
  }

  async manage(request: ManagementRequest): Promise<void> {
    if (this.#found === undefined) throw unreachable();
    return this.#found.manage(request);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#retired].map(async (before) => before.close()));
    await this.#found?.close();
  }
}

function unreachable(): Fault {
  return new Fault("backend_unreachable", "the backend has not been reached yet");
}
