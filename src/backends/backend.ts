import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import type { Timings, Usage } from "../core/usage.ts";

/** Receives the progress of a task from its backend. Calls are synchronous, cheap and never throw. */
export interface AttemptProgress {
  /** A connection to the server is being opened. */
  connecting(): void;
  /** The request is being sent, or is with the model. */
  sent(): void;
  /** A piece of the answer has come, whether the client sees it or not. A keep-alive of the connection does not count. */
  alive(): void;
}

/** Source of a reply: a connection, or a loop over tokens. */
export interface Source {
  pause(): void;
  resume(): void;
}

/** Pauses the sources of a reply while its reader is behind. */
export interface Backpressure {
  readonly paused: boolean;
  /** Pauses and resumes this source from now on; pauses it at once while `held` is true. */
  attach(source: Source): void;
  detach(source: Source): void;
}

/** Takes the answer of an attempt. Calls are synchronous and never throw. The bytes go to the client unchanged. */
export interface ReplySink {
  /** Called once, before the first write. `dropped` names the client's fields that were left out for this backend. */
  head(status: number, contentType: string, dropped?: readonly string[]): void;
  /** Takes the bytes. The caller must not change them afterwards. */
  write(bytes: Buffer): void;
  readonly progress: AttemptProgress;
  /** Absent: the answer is read as fast as it comes. */
  readonly backpressure?: Backpressure;
}

/** Lends slots of a backend. A task with several runs of its model may use more than its own slot. */
export interface SlotLender {
  /** Takes a slot if one is free. */
  borrow(): boolean;
  /** Returns a borrowed slot. Call it exactly once per slot. */
  returnSlot(): void;
}

/** Result of a complete answer. */
export interface Answer {
  readonly usage: Usage | undefined;
  readonly timings?: Timings;
}

/** Kind of a backend. `unknown`: configured without a kind, and not reached yet. */
export type BackendKind =
  | "ollama"
  | "openai"
  | "vllm"
  | "llamacpp"
  | "lmstudio"
  | "exo"
  | "embedded"
  | "unknown";

/** Result of one inspection of a backend. */
export interface BackendState {
  readonly models: readonly ModelCard[];
  /** Tasks that the backend runs at once, as it reports; undefined when it reports none. */
  readonly slots: number | undefined;
  /** Listed model ids that cannot be served, each with its reason; absent for none. */
  readonly unserved?: readonly string[];
}

/** A request of Ollama's management API. */
export interface ManagementRequest {
  readonly method: string;
  readonly path: string;
  /** Request body; empty for none. */
  readonly body: Buffer;
  /** Takes the reply as it comes, of any status. */
  readonly sink: ReplySink;
  readonly signal: AbortSignal;
}

/** An LLM server (or the model in this process) that runs tasks. */
export interface Backend {
  /** Unique in its worker, e.g. `ollama@127.0.0.1:11434`. The name changes with the kind. */
  readonly name: string;
  readonly kind: BackendKind;
  /** Empty for the embedded backend. Never carries credentials. */
  readonly url: string;
  /** Pieces of answers sent so far. A growing number shows that the backend works. Absent: unknown. */
  readonly pieces?: number;
  /** True when the backend loads models on demand and unloads others for them. Absent: false. */
  readonly loadsOnDemand?: boolean;
  /** True when a server of another kind may answer at this address later. Absent: false. */
  readonly mayChange?: boolean;
  /** Learned differences from other backends of this kind, in a few words each. Absent: none. */
  readonly quirks?: readonly string[];
  /** Sets the counter of this backend's slots; undefined: each task has exactly one slot. Absent: the same. */
  useLender?(lender: SlotLender | undefined): void;
  /** Inspects the backend: health, models, slots. Throws `backend_unreachable` or `backend_error`. */
  inspect(signal: AbortSignal): Promise<BackendState>;
  /**
   * Runs a task on one of the backend's models. Resolves when the answer is complete. Throws a Fault. When `signal`
   * aborts, the backend is stopped at once and the promise rejects.
   * @param model the backend's own id of the model
   */
  run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer>;
  /**
   * Passes a management request on. Resolves when the reply is complete. Only servers of kind `ollama` have this API.
   * Rejects with `backend_unreachable`, `backend_lost` or the signal's reason.
   */
  manage?(request: ManagementRequest): Promise<void>;
  /** Releases sockets and memory. Idempotent. */
  close(): Promise<void>;
}
