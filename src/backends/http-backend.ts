import type { NeutralRequest } from "../core/chat.ts";
import { Fault, toFault } from "../core/fault.ts";
import { systemAmbient } from "../core/ambient.ts";
import { needsAbility } from "../core/ability.ts";
import type { Task } from "../core/task.ts";
import { estimateTokens } from "../protocols/estimate.ts";
import type { BackendRequest, ClientFace, Learned, Passthrough } from "../protocols/protocol.ts";
import { refusesWorker } from "../protocols/refused.ts";
import { gatherWhole } from "../protocols/whole.ts";
import { isHeartbeat } from "../wire/sse.ts";
import { Abilities } from "./abilities.ts";
import { answerCount, AnswerWriter, openTask, Outlet, withoutThinking } from "./answer.ts";
import type { Answer, Backend, BackendState, ManagementRequest, ReplySink, SlotLender } from "./backend.ts";
import { LARGE_REPLY_BYTES, ownTurn } from "./own-turn.ts";
import { reading } from "./reading.ts";
import { choicesOf, requestOfChoice, runChoices } from "./choices.ts";
import { FirstSeen } from "./first-seen.ts";
import { HttpOrigin, type HttpTarget } from "./http.ts";
import { PROFILES, type HttpKind, type Profile } from "./profiles.ts";
import { Quirks } from "./quirks.ts";
import type { PostOptions, Receiver, ReplyHeaders } from "./receivers.ts";
import { replyType } from "./reply-type.ts";
import { mayKeepAlive } from "../protocols/ollama/runner-options.ts";
import type { RunnerPolicy } from "../protocols/ollama/runner-options.ts";
import { Runners } from "./runners.ts";

export interface HttpBackendOptions {
  readonly kind: HttpKind;
  readonly target: HttpTarget;
  /** Tasks at once; 0 asks the server, else takes its kind's default. */
  readonly slots: number;
  /** Most ms that a connection may take. */
  readonly connectMs?: number;
  /** Its abilities; absent: they are found out. */
  readonly endpoints?: readonly string[] | undefined;
  /** The policy for options that would make the server reload a model; absent: they are passed on. Only for Ollama. */
  readonly runner?: RunnerPolicy;
}

/** One run of a task, as its parts need it. */
interface Run {
  readonly task: Task;
  readonly model: string;
  readonly sink: ReplySink;
  readonly signal: AbortSignal;
  /** The change to try once more with: it leaves out a part that the backend may have refused. */
  readonly lesson?: Learned;
}

/** A request to the server, whose reply goes to the sink. */
interface Posting extends Omit<PostOptions, "readError" | "pulse" | "brake"> {
  readonly model: string;
  readonly sink: ReplySink;
}

/** An LLM server reached over HTTP. Nothing is sent before the first task or inspection. */
export class HttpBackend implements Backend {
  readonly name: string;
  readonly kind: HttpKind;
  readonly url: string;
  lender?: SlotLender;
  readonly #http: HttpOrigin;
  readonly #profile: Profile;
  readonly #slots: number;
  readonly #quirks = new Quirks();
  readonly #abilities: Abilities;
  /** Faults of replies that were no success: nothing of an answer had come. */
  readonly #refusals = new WeakSet<Fault>();
  /** The models that can think, by name. */
  #thinkers: ReadonlySet<string> = new Set();
  readonly #firstSeen = new FirstSeen();
  readonly #runners: Runners | undefined;
  /** False: only admins may unload models. */
  readonly #unloads: boolean;

  constructor({ kind, target, slots, connectMs, runner, endpoints }: HttpBackendOptions) {
    this.kind = kind;
    this.url = target.origin + target.prefix;
    this.name = `${kind}@${this.url.replace(/^\w+:\/\//, "")}`;
    this.#http = new HttpOrigin(target, connectMs);
    this.#profile = PROFILES[kind];
    this.#slots = slots;
    const look = this.#profile.surface;
    this.#abilities = new Abilities({ look, declared: endpoints, mono: systemAmbient.mono });
    const isOllama = this.#profile.face.dialect === "ollama";
    this.#runners = runner === undefined || !isOllama ? undefined : new Runners(runner);
    this.#unloads = isOllama && (runner === undefined || runner.keepAliveMinMs === 0);
  }

  get quirks(): readonly string[] {
    return this.#quirks.told;
  }

  get pieces(): number {
    return this.#http.pieces;
  }

  get loadsOnDemand(): boolean {
    return this.#profile.loadsOnDemand;
  }

  async inspect(signal: AbortSignal): Promise<BackendState> {
    const since = this.#runners?.changes ?? 0;
    const look = async (): Promise<BackendState> => this.#profile.inspect(this.#http, signal);
    const state = await this.#abilities.seen(this.#http, look, signal);
    this.#runners?.seen(state.models, since);
    const thinkers = state.models.filter(({ capabilities }) => capabilities.includes("thinking"));
    this.#thinkers = new Set(thinkers.map(({ name }) => name));
    const slots = this.#slots > 0 ? this.#slots : (state.slots ?? this.#profile.slots);
    return { ...state, models: this.#firstSeen.dated(state.models), slots };
  }

  async run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    try {
      const run = { task, model, sink, signal };
      const way = this.#wayOf(task);
      // A request of the surface is relayed as it comes: it has no parts that could be left out.
      const learns = this.#face.dialect === "openai" && !needsAbility(task.endpoint);
      return await (learns ? this.#runLearning(run, way) : this.#run(run, way));
    } catch (error) {
      if (needsAbility(task.endpoint) && toFault(error).code === "not_implemented") this.#abilities.doubt();
      // A reply that is nested beyond the stack, or longer than any text. The request was checked at its gateway.
      if (!(error instanceof RangeError)) throw error;
      throw new Fault("backend_lost", "the backend's reply is too deep or too long", {
        blame: "request",
        cause: error,
      });
    }
  }

  /** A request that was refused is tried again without what may be the cause; what helped is remembered. */
  async #runLearning(run: Run, way: Passthrough | undefined): Promise<Answer> {
    try {
      const answer = await this.#run(run, way);
      this.#quirks.served(run.task, way !== undefined);
      return answer;
    } catch (error) {
      if (!this.#isRefusal(error)) throw error;
      for (const lesson of this.#quirks.lessonsFor(run.task, error, way !== undefined)) {
        const answer = run.signal.aborted ? undefined : await this.#tryAgain({ ...run, lesson }, way);
        if (answer !== undefined) return answer;
      }
      throw error;
    }
  }

  /** Undefined when the request is refused in this way, too. */
  async #tryAgain(run: Run, way: Passthrough | undefined): Promise<Answer | undefined> {
    try {
      const answer = await this.#run(run, way);
      this.#quirks.remember(run.lesson ?? {});
      return answer;
    } catch (error) {
      if (this.#isRefusal(error)) return undefined;
      throw error;
    }
  }

  #isRefusal(error: unknown): error is Fault {
    return error instanceof Fault && this.#refusals.has(error);
  }

  /** How the task's bytes are passed through; undefined when it has to be translated. */
  #wayOf(task: Task): Passthrough | undefined {
    if (needsAbility(task.endpoint)) return this.#abilities.wayOf(task);
    const way = this.#face.passthrough(task.endpoint);
    if (way === undefined || way.carries?.(task.body) === false || this.#mayNotUnload(task)) return undefined;
    return way;
  }

  #run(run: Run, way: Passthrough | undefined): Promise<Answer> {
    if (way === undefined) return this.#translate(run);
    return run.task.endpoint === "anthropic-count-tokens" ? this.#count(run, way) : this.#relay(run, way);
  }

  #learnedFor({ lesson }: Run): Learned {
    return lesson === undefined ? this.#quirks.learned : { ...this.#quirks.learned, ...lesson };
  }

  /** True for a request to unload its model from one who may not: it is answered, and changes nothing. */
  #mayNotUnload(task: Task): boolean {
    if (this.#unloads || task.admin === true || !mayKeepAlive(task.body)) return false;
    const { request } = openTask(task);
    return request.kind === "load" && request.unload;
  }

  /** The request as the runner that is loaded can take it. */
  #fitted(request: BackendRequest, model: string, { admin = false }: Task): BackendRequest {
    // The options of a runner are in JSON.
    if (request.contentType !== undefined) return request;
    return this.#runners?.fit(model, request, admin) ?? request;
  }

  manage({ method, path, body, sink, signal }: ManagementRequest): Promise<void> {
    const receiver: Receiver = {
      onHead: (status, headers) => {
        sink.head(refusesWorker(status) ? 502 : status, contentTypeOf(headers) ?? "application/json");
      },
      onChunk: (chunk) => sink.write(chunk),
    };
    return this.#http.pass({ method, path, body }, receiver, signal);
  }

  /** Takes no more tasks; resolves when the running ones have ended. */
  async retire(): Promise<void> {
    await this.#http.retire();
  }

  async close(): Promise<void> {
    await this.#http.close();
  }

  get #face(): ClientFace {
    return this.#profile.face;
  }

  /** Same dialect on both sides: the bytes go through as they come. */
  async #relay(run: Run, way: Passthrough): Promise<Answer> {
    const { task, model, sink, signal } = run;
    const options = { ...task, asked: task.model, model, learned: this.#learnedFor(run) };
    const relay = way.relay(options);
    const { dropped, ...request } = this.#fitted(way.request(options), model, task);
    const outlet = new Outlet(sink, dropped);
    const gathered = gatherWhole();
    let contentType = replyType(undefined, task);
    await this.#post({
      ...request,
      model,
      signal,
      sink,
      trace: task.trace,
      onHead: (headers) => {
        const told = contentTypeOf(headers);
        contentType = replyType(told, task);
        relay.head?.(told ?? "");
      },
      onChunk: (chunk) => {
        const bytes = reading(() => relay.push(chunk));
        if (task.stream) outlet.write(bytes, relay.contentType ?? contentType);
        else if (bytes.length > 0) gathered.add(bytes);
      },
    });
    // Before the end is known to be sound, nothing of an answer in one piece may leave.
    const last = reading(() => relay.end());
    const type = relay.contentType ?? contentType;
    outlet.write(gathered.takeWith(last), type);
    outlet.end(type);
    const { usage, timings } = relay;
    return timings === undefined ? { usage } : { usage, timings };
  }

  /** Exact where the server can count; its older versions cannot, or not everything. */
  async #count(run: Run, way: Passthrough): Promise<Answer> {
    try {
      return await this.#relay(run, way);
    } catch (error) {
      if (run.signal.aborted || toFault(error).retryable) throw error;
      return this.#translate(run);
    }
  }

  /** Another dialect than the client's: the reply is read into parts and written anew. */
  async #translate(translated: Run): Promise<Answer> {
    const { task, model, sink, signal } = translated;
    const opened = openTask(task);
    const request = this.#withinAbility(opened.request, model);
    if (opened.endpoint.counts && request.kind === "chat") {
      return answerCount(new AnswerWriter(opened, sink), estimateTokens(request));
    }
    const isHeld = request.kind === "load" && request.unload && task.admin !== true && !this.#unloads;
    if (request.kind === "load" && (isHeld || this.#face.dialect !== "ollama")) {
      // Only Ollama loads and unloads on demand; elsewhere what is listed is loaded.
      const dropped = this.#face.dialect === "ollama" ? ["keep_alive"] : [];
      const answer = new AnswerWriter(opened, sink, { dropped });
      answer.write([{ type: "end", reason: request.unload ? "unload" : "load" }]);
      return answer.finish();
    }
    const { stream, trace } = task;
    const target = { model, stream, learned: this.#learnedFor(translated) };
    const encode = (asked: NeutralRequest): BackendRequest =>
      this.#fitted(this.#face.encode(asked, target), model, task);
    const encoded = encode(request);
    const unable = request === opened.request ? [] : ["thinking"];
    const answer = new AnswerWriter(opened, sink, { dropped: [...(encoded.dropped ?? []), ...unable] });
    const run = async (choice: number, stop: AbortSignal): Promise<void> => {
      const own = requestOfChoice(request, choice);
      const { path, body } = own === request ? encoded : encode(own);
      const reader = this.#face.reader({ request, stream });
      const onChunk = (chunk: Buffer): void => reading(() => answer.write(reader.push(chunk), choice));
      await this.#post({ path, body, model, trace, signal: stop, sink, onHead: () => {}, onChunk });
      reading(() => answer.write(reader.end(), choice));
      if (reader.learned !== undefined) this.#quirks.remember(reader.learned);
    };
    await runChoices({ choices: choicesOf(request), lender: this.lender, signal, run });
    return reading(() => answer.finish());
  }

  /** Resolves when the reply has come, a large one when it may be read. */
  async #post({
    path,
    body,
    contentType,
    model,
    signal,
    sink,
    trace,
    onHead,
    onChunk,
  }: Posting): Promise<void> {
    const face = this.#face;
    const { pulse, brake } = sink;
    let came = 0;
    const posted = this.#http.post({
      path,
      body,
      contentType,
      signal,
      pulse,
      brake,
      trace,
      onHead,
      onChunk: (chunk) => {
        came += chunk.length;
        if (!isHeartbeat(chunk)) pulse.alive();
        onChunk(chunk);
      },
      readError: (status, bytes, retryAfter) => {
        const fault = face.readError(status, bytes, retryAfter);
        this.#refusals.add(fault);
        return fault;
      },
    });
    const runners = this.#runners;
    runners?.entered(model);
    try {
      await posted;
    } finally {
      runners?.left(model);
    }
    if (came <= LARGE_REPLY_BYTES) return;
    await ownTurn();
    signal.throwIfAborted();
  }

  /** A wish to think is left out where the server would refuse it: Ollama does, for models that cannot. */
  #withinAbility(request: NeutralRequest, model: string): NeutralRequest {
    if (request.kind !== "chat" || !request.thinkIfAble || this.#face.dialect !== "ollama") return request;
    return this.#thinkers.has(model) ? request : withoutThinking(request);
  }
}

function contentTypeOf(headers: ReplyHeaders): string | undefined {
  const value = headers["content-type"];
  return typeof value === "string" ? value : undefined;
}
