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
import { probeKind } from "./discover.ts";
import { HttpBackend } from "./http-backend.ts";

/**
 * A backend that was not there when its kind was to be probed. Each inspection probes again; once it answers,
 * it is the backend of that kind for good.
 */
export class LateBackend implements Backend {
  readonly name: string;
  readonly url: string;
  readonly #address: Address;
  readonly #limits: { readonly slots: number; readonly connectMs: number };
  #found: HttpBackend | undefined;
  lender?: SlotLender;
  #closed = false;

  constructor(address: Address, limits: { readonly slots: number; readonly connectMs: number }) {
    this.url = address.url;
    this.name = `unknown@${address.url.replace(/^\w+:\/\//, "")}`;
    this.#address = address;
    this.#limits = limits;
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

  async inspect(signal: AbortSignal): Promise<BackendState> {
    if (this.#found === undefined) {
      const kind = await probeKind(this.#address, signal);
      if (this.#closed) throw unreachable();
      // Another inspection may have come first.
      this.#found ??= new HttpBackend({ kind, target: this.#address, ...this.#limits });
    }
    return this.#found.inspect(signal);
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
    await this.#found?.close();
  }
}

function unreachable(): Fault {
  return new Fault("backend_unreachable", "the backend has not been reached yet");
}
