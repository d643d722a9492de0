import { Fault } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import type { BackendAddress } from "./address.ts";
import type {
  Answer,
  Backend,
  BackendKind,
  BackendState,
  ManagementRequest,
  ReplySink,
  SlotLender,
} from "./backend.ts";
import { confirmKind, probeKind } from "./discover.ts";
import { HttpBackend } from "./http-backend.ts";
import type { HttpBackendOptions } from "./http-backend.ts";
import type { HttpKind } from "./profiles.ts";

type Limits = Omit<HttpBackendOptions, "kind" | "target">;

/** Interval in which the kind of an answering server is checked, and the time limit of a check, ms. */
const RECHECK_MS = 60_000;
const PROBE_MS = 1000;

export interface ProbedOptions {
  readonly address: BackendAddress;
  readonly limits: Limits;
  /** Absent: no server has answered at the address yet. */
  readonly kind?: HttpKind | undefined;
  readonly mono: () => number;
  /** A server of another kind has replaced the one before. */
  readonly onKind?: (name: string, before: string) => void;
}

/**
 * A backend at an address without a configured kind. It is probed until it answers, then once a minute and after each
 * failed inspection. When a server of another kind replaces it, that kind is used from then on.
 */
export class ProbedBackend implements Backend {
  readonly url: string;
  readonly mayChange = true;
  readonly #options: ProbedOptions;
  #found: HttpBackend | undefined;
  /** Replaced backends of other kinds that still run tasks. */
  readonly #retired = new Set<HttpBackend>();
  #lender: SlotLender | undefined;
  #closed = false;
  #inspectionFailed = false;
  #probedAt: number;

  constructor(options: ProbedOptions) {
    const { address, kind, limits, mono } = options;
    this.url = address.url;
    this.#options = options;
    this.#probedAt = mono();
    if (kind !== undefined) this.#found = new HttpBackend({ kind, target: address, ...limits });
  }

  /** Includes the kind, once it is known. */
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
      this.#inspectionFailed = false;
      return state;
    } catch (error) {
      this.#inspectionFailed = true;
      throw error;
    }
  }

  async #find(signal: AbortSignal): Promise<HttpBackend> {
    const kind = await probeKind(this.#options.address, signal);
    if (this.#closed) throw unreachable();
    // Another inspection may have found it first.
    return this.#found ?? this.#take(kind);
  }

  /**
   * Checks the kind of a known server. A server that cannot be probed keeps its kind; its inspection shows whether it
   * is up.
   */
  async #findAgain(found: HttpBackend, signal: AbortSignal): Promise<HttpBackend> {
    const { address, mono } = this.#options;
    const now = mono();
    if (!this.#inspectionFailed && now - this.#probedAt < RECHECK_MS) return found;
    this.#probedAt = now;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
    const probe = this.#inspectionFailed
      ? probeKind(address, limit)
      : confirmKind(address, found.kind, limit);
    const kind = await probe.catch(() => found.kind);
    if (this.#closed) throw unreachable();
    if (this.#found !== found || kind === found.kind) return this.#found ?? found;
    const before = this.name;
    const next = this.#take(kind);
    this.#retire(found);
    this.#options.onKind?.(this.name, before);
    return next;
  }

  /** Lets running tasks end: behind a proxy the former server may still be answering. */
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

  useLender(lender: SlotLender | undefined): void {
    this.#lender = lender;
  }

  async run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    if (this.#found === undefined) throw unreachable();
    this.#found.useLender(this.#lender);
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
