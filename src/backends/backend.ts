import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import type { Timings, Usage } from "../core/usage.ts";

/** Where a backend tells how far a task has come. Calls are synchronous and never throw; they cost next to nothing. */
export interface Pulse {
  /** A connection to the server is looked for. */
  connecting(): void;
  /** The request begins to leave, or is with the model. */
  sent(): void;
  /** A piece of the answer has come, shown to the client or not; a mere sign that the connection lives is none. */
  alive(): void;
}

/** Where a reply comes from: a connection, a loop over tokens. */
export interface Source {
  pause(): void;
  resume(): void;
}

/** Holds the sources of a reply back while nobody takes more of it. */
export interface Brake {
  readonly held: boolean;
  /** From now on the source is paused and resumed; at once when the brake holds. */
  attach(source: Source): void;
  detach(source: Source): void;
}

/** Where an attempt's answer goes. Calls are synchronous and never throw; bytes are for the client as they are. */
export interface ReplySink {
  /** Once, before the first write. `dropped`: the client's fields that were left out for this backend. */
  head(status: number, contentType: string, dropped?: readonly string[]): void;
  /** Hands over the bytes: the caller does not touch them afterwards. */
  write(bytes: Buffer): void;
  readonly pulse: Pulse;
  /** Absent: the answer is taken as quickly as it comes. */
  readonly brake?: Brake;
}

/** Counts the slots of a backend: a task that has several runs of its model to make may use more than its own. */
export interface SlotLender {
  /** Takes a slot if one is free. */
  borrow(): boolean;
  /** Exactly once for each slot that was borrowed. */
  giveBack(): void;
}

/** What is known when an answer is complete. */
export interface Answer {
  readonly usage: Usage | undefined;
  readonly timings?: Timings;
}

/** `unknown`: given without a kind, and never reached so far. */
export type BackendKind =
  | "ollama"
  | "openai"
  | "vllm"
  | "llamacpp"
  | "lmstudio"
  | "exo"
  | "embedded"
  | "unknown";

/** What one look at a backend tells. */
export interface BackendState {
  readonly models: readonly ModelCard[];
  /** How many tasks the backend runs at once, as it says itself; undefined when it does not tell. */
  readonly slots: number | undefined;
  /** Ids that the backend lists and that cannot be served, with the reasons; absent for none. */
  readonly unserved?: readonly string[];
}

/** A request of Ollama's management API. */
export interface ManagementRequest {
  readonly method: string;
  readonly path: string;
  /** Empty for none. */
  readonly body: Buffer;
  /** Takes the reply as it comes, whatever its status. */
  readonly sink: ReplySink;
  readonly signal: AbortSignal;
}

/** An LLM server (or the model in this process) that runs tasks. */
export interface Backend {
  /** Unique in its worker, e.g. `ollama@127.0.0.1:11434`; another when its kind becomes another. */
  readonly name: string;
  readonly kind: BackendKind;
  /** Empty for the embedded backend. Never carries credentials. */
  readonly url: string;
  /** Set by whoever counts this backend's slots; absent = every task has one slot and no more. */
  lender?: SlotLender;
  /** Pieces of answers that it has sent so far: while this grows it is at work. Absent: not known. */
  readonly pieces?: number;
  /** True when it loads models as they are asked for, and others go for that; absent = false. */
  readonly loadsOnDemand?: boolean;
  /** True when a server of another kind may answer at its address later; absent = false. */
  readonly mayChange?: boolean;
  /** Differences from others of its kind that were learned by trying, in a few words each. Absent: none. */
  readonly quirks?: readonly string[];
  /** Looks at the backend: health, models, slots. Throws `backend_unreachable` or `backend_error`. */
  inspect(signal: AbortSignal): Promise<BackendState>;
  /**
   * Runs a task on one of the backend's models and resolves when the answer is complete. Throws a Fault; when
   * `signal` aborts, the backend is told to stop at once and the promise rejects.
   * @param model the backend's own id of the model
   */
  run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer>;
  /**
   * Passes a request on and resolves when the reply is complete; only servers of the kind `ollama` have such an API.
   * Rejects with `backend_unreachable`, `backend_lost` or the signal's reason.
   */
  manage?(request: ManagementRequest): Promise<void>;
  /** Releases sockets and memory. Idempotent. */
  close(): Promise<void>;
}
