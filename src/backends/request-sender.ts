import type { NeutralRequest } from "../core/chat.ts";
import { Fault } from "../core/fault.ts";
import type { Task } from "../core/task.ts";
import type { BackendRequest, ClientCodec, Learned } from "../protocols/codec.ts";
import { parseBody } from "../protocols/openai/passthrough.ts";
import { hasLateSystemMessage } from "../protocols/system-message.ts";
import type { ReplySink } from "./backend.ts";
import type { HttpOrigin } from "./http.ts";
import type { PostOptions } from "./http-exchange.ts";
import type { Runners } from "./runners.ts";

/** One run of a task on a server. */
export interface TaskRun {
  readonly task: Task;
  /** The server's own id of the model. */
  readonly model: string;
  readonly sink: ReplySink;
  readonly signal: AbortSignal;
  /** The change for a second try: it leaves out a part that the server may have refused. */
  readonly change?: Learned;
}

/** The model that a request is for, and the callbacks for its reply. */
export type SendOptions = Omit<PostOptions, "readError" | "progress" | "backpressure"> &
  Pick<TaskRun, "model" | "sink">;

export interface RequestSenderOptions {
  readonly http: HttpOrigin;
  readonly codec: ClientCodec;
  /** Absent: runner options are passed on. */
  readonly runners: Runners | undefined;
}

/** Sends the requests of tasks to one server, and keeps what it learns about the server meanwhile. */
export class RequestSender {
  readonly codec: ClientCodec;
  readonly quirks: Quirks = new Quirks();
  readonly #http: HttpOrigin;
  readonly #runners: Runners | undefined;
  /** Faults of replies with an error status. Such replies hold no part of an answer. */
  readonly #refusals = new WeakSet<Fault>();

  constructor({ http, codec, runners }: RequestSenderOptions) {
    this.#http = http;
    this.codec = codec;
    this.#runners = runners;
  }

  /** True for the fault of a reply with an error status. */
  isRefusal(error: unknown): error is Fault {
    return error instanceof Fault && this.#refusals.has(error);
  }

  /** The learned facts that apply to a run. */
  learnedFor({ change }: TaskRun): Learned {
    return change === undefined ? this.quirks.learned : { ...this.quirks.learned, ...change };
  }

  /** The neutral request in the server's dialect, for the runner that is loaded. */
  encode(request: NeutralRequest, run: TaskRun): BackendRequest {
    const { model, task } = run;
    const options = { model, stream: task.stream, learned: this.learnedFor(run) };
    return this.fit(this.codec.encode(request, options), run);
  }

  /** The request, changed so that the loaded runner can take it. */
  fit(request: BackendRequest, { model, task }: TaskRun): BackendRequest {
    // Runner options exist in JSON bodies only.
    if (this.#runners === undefined || request.contentType !== undefined) return request;
    return this.#runners.fit(model, request, task.admin ?? false);
  }

  /** Resolves after the last byte of the reply; after a large reply when this caller may read it. */
  async send(request: BackendRequest, { model, sink, ...options }: SendOptions): Promise<void> {
    const { progress, backpressure } = sink;
    const runners = this.#runners;
    const sent = this.#http.post(request, { ...options, progress, backpressure, readError: this.#readError });
    runners?.requestStarted(model);
    let bytes = 0;
    try {
      bytes = await sent;
    } finally {
      runners?.requestEnded(model);
    }
    if (bytes <= LARGE_REPLY_BYTES) return;
    await turnToRead();
    options.signal.throwIfAborted();
  }

  readonly #readError = (status: number, body: Buffer, retryAfter: number | undefined): Fault => {
    const fault = this.codec.readError(status, body, retryAfter);
    this.#refusals.add(fault);
    return fault;
  };
}

/** Larger replies, in bytes, are read one per turn of the event loop: reading 50 MB of numbers takes a second. */
const LARGE_REPLY_BYTES = 1024 * 1024;

let lastTurn: Promise<void> = Promise.resolve();

/**
 * Resolves when the caller may read a large reply: one caller per turn of the event loop, so that timers run in between.
 * Large replies that end together would otherwise block the loop until the leases of all tasks run out.
 */
export async function turnToRead(): Promise<void> {
  lastTurn = lastTurn.then(() => new Promise((resolve) => setImmediate(resolve)));
  return lastTurn;
}

/**
 * The fault of a reply that could not be read. An unreadable reply is put down to the request: the model would answer it in
 * the same way elsewhere, and other requests are not affected. A fault that names its own cause keeps it.
 */
export function unreadable(error: unknown): unknown {
  const isUnread = error instanceof Fault && error.code === "backend_lost" && error.statedBlame === undefined;
  return isUnread ? error.blamedOn("request") : error;
}

/** Statuses with which servers refuse a field or message that they do not know. */
const REFUSED: ReadonlySet<number> = new Set([400, 422]);
/** Chat templates raise errors, which some servers report as their own. */
const TEMPLATE_FAILED = 500;

/**
 * Remembers how one backend differs from others of its kind, while the worker runs. A refused request is tried again
 * once without the possible cause. This ends once the backend has accepted that part.
 */
export class Quirks {
  #learned: Learned = {};
  #takesStreamOptions = false;
  #takesLateSystem = false;

  get learned(): Learned {
    return this.#learned;
  }

  /** Descriptions in a few words each, for people. A usual backend has none. */
  get descriptions(): readonly string[] {
    const { streamOptions, systemFirst, thoughts } = this.#learned;
    return [
      ...(streamOptions === false ? ["refuses stream_options"] : []),
      ...(systemFirst === true ? ["takes one system message only, as the first"] : []),
      ...(thoughts === undefined ? [] : [`tells and reads thoughts as ${thoughts}`]),
    ];
  }

  /** Changes to try after a refusal, one after the other. @param relayed true when the client's own bytes were sent */
  changesToTry(task: Task, { http }: Fault, relayed: boolean): readonly Learned[] {
    const { streamOptions, systemFirst } = this.#learned;
    const changes: Learned[] = [];
    if (task.stream && streamOptions === undefined && !this.#takesStreamOptions && REFUSED.has(http)) {
      changes.push({ streamOptions: false });
    }
    const isTemplate = REFUSED.has(http) || http === TEMPLATE_FAILED;
    if (relayed && systemFirst === undefined && !this.#takesLateSystem && isTemplate && hasLateSystem(task)) {
      changes.push({ systemFirst: true });
    }
    return changes;
  }

  remember(change: Learned): void {
    this.#learned = { ...this.#learned, ...change };
  }

  /** A request was answered without a change. */
  recordSuccess(task: Task, relayed: boolean): void {
    this.#takesStreamOptions ||= task.stream && this.#learned.streamOptions === undefined;
    if (relayed && !this.#takesLateSystem && this.#learned.systemFirst === undefined) {
      this.#takesLateSystem = hasLateSystem(task);
    }
  }
}

const ROLES = [Buffer.from('"system"'), Buffer.from('"developer"')] as const;

/** True for a chat with a late system message. A body without the role names is not parsed. */
function hasLateSystem({ endpoint, body }: Task): boolean {
  if (endpoint !== "openai-chat" || !ROLES.some((role) => body.includes(role))) return false;
  return hasLateSystemMessage(parseBody(body));
}
