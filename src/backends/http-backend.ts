import { Fault, toFault } from "../core/fault.ts";
import { systemAmbient } from "../core/ambient.ts";
import { needsAbility } from "../core/ability.ts";
import type { Task } from "../core/task.ts";
import type { Passthrough } from "../protocols/codec.ts";
import { refusesWorker } from "../core/cause.ts";
import { Abilities } from "./abilities.ts";
import { parseTask } from "./answer.ts";
import type { Answer, Backend, BackendState, ManagementRequest, ReplySink, SlotLender } from "./backend.ts";
import { HttpOrigin, type HttpTarget } from "./http.ts";
import { contentTypeOf, type Receiver } from "./http-exchange.ts";
import { FirstSeenDates } from "./model-card.ts";
import { PROFILES, type HttpKind, type Profile } from "./profiles.ts";
import { relay } from "./relay.ts";
import { RequestSender, type TaskRun } from "./request-sender.ts";
import { mayHaveKeepAlive } from "../protocols/ollama/runner-options.ts";
import type { RunnerPolicy } from "../protocols/ollama/runner-options.ts";
import { Runners } from "./runners.ts";
import { translate } from "./translate.ts";

export interface HttpBackendOptions {
  readonly kind: HttpKind;
  readonly target: HttpTarget;
  /** Tasks at once. 0: as the server says, else the default of its kind. */
  readonly slots: number;
  /** Longest time to open a connection, ms. */
  readonly connectMs?: number;
  /** The abilities of the server; absent: they are probed. */
  readonly endpoints?: readonly string[] | undefined;
  /** Policy for options that would make an Ollama server reload a model; absent: they are passed on. */
  readonly runner?: RunnerPolicy;
}

/** An LLM server over HTTP. It connects at the first task or inspection. */
export class HttpBackend implements Backend {
  readonly name: string;
  readonly kind: HttpKind;
  readonly url: string;
  #lender: SlotLender | undefined;
  readonly #http: HttpOrigin;
  readonly #profile: Profile;
  readonly #slots: number;
  readonly #abilities: Abilities;
  readonly #firstSeen = new FirstSeenDates();
  readonly #runners: Runners | undefined;
  readonly #sender: RequestSender;
  /** Names of the models that can think. */
  #thinkingModels: ReadonlySet<string> = new Set();
  /** False: only admins may unload models. */
  readonly #unloads: boolean;

  constructor({ kind, target, slots, connectMs, runner, endpoints }: HttpBackendOptions) {
    this.kind = kind;
    this.url = target.origin + target.prefix;
    this.name = `${kind}@${this.url.replace(/^\w+:\/\//, "")}`;
    this.#http = new HttpOrigin(target, connectMs);
    this.#profile = PROFILES[kind];
    this.#slots = slots;
    const { surface } = this.#profile;
    this.#abilities = new Abilities({ surface, declared: endpoints, mono: systemAmbient.mono });
    const { codec } = this.#profile;
    const isOllama = codec.dialect === "ollama";
    this.#runners = runner === undefined || !isOllama ? undefined : new Runners(runner);
    this.#sender = new RequestSender({ http: this.#http, codec, runners: this.#runners });
    this.#unloads = isOllama && (runner === undefined || runner.keepAliveMinMs === 0);
  }

  get quirks(): readonly string[] {
    return this.#sender.quirks.descriptions;
  }

  get pieces(): number {
    return this.#http.pieces;
  }

  get loadsOnDemand(): boolean {
    return this.#profile.loadsOnDemand;
  }

  useLender(lender: SlotLender | undefined): void {
    this.#lender = lender;
  }

  async inspect(signal: AbortSignal): Promise<BackendState> {
    const since = this.#runners?.changes ?? 0;
    const inspect = async (): Promise<BackendState> => this.#profile.inspect(this.#http, signal);
    const state = await this.#abilities.withAbilities(this.#http, inspect, signal);
    this.#runners?.update(state.models, since);
    const thinking = state.models.filter(({ capabilities }) => capabilities.includes("thinking"));
    this.#thinkingModels = new Set(thinking.map(({ name }) => name));
    const slots = this.#slots > 0 ? this.#slots : (state.slots ?? this.#profile.slots);
    return { ...state, models: this.#firstSeen.dated(state.models), slots };
  }

  async run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    try {
      const run = { task, model, sink, signal };
      const way = this.#wayOf(task);
      // A request of the surface is relayed unchanged: it has no parts to leave out.
      const learns = this.#sender.codec.dialect === "openai" && !needsAbility(task.endpoint);
      return await (learns ? this.#runLearning(run, way) : this.#runOnce(run, way));
    } catch (error) {
      if (needsAbility(task.endpoint) && toFault(error).code === "not_implemented")
        this.#abilities.invalidate();
      // A reply that is nested deeper than the stack, or longer than any string. The gateway has checked the request.
      if (!(error instanceof RangeError)) throw error;
      throw new Fault("backend_lost", "the backend's reply is too deep or too long", {
        blame: "request",
        cause: error,
      });
    }
  }

  /** Tries a refused request again without a part that may be the cause, and remembers a change that helped. */
  async #runLearning(run: TaskRun, way: Passthrough | undefined): Promise<Answer> {
    const { quirks } = this.#sender;
    try {
      const answer = await this.#runOnce(run, way);
      quirks.recordSuccess(run.task, way !== undefined);
      return answer;
    } catch (error) {
      if (!this.#sender.isRefusal(error)) throw error;
      for (const change of quirks.changesToTry(run.task, error, way !== undefined)) {
        const answer = run.signal.aborted ? undefined : await this.#tryAgain({ ...run, change }, way);
        if (answer !== undefined) return answer;
      }
      throw error;
    }
  }

  /** Undefined when the changed request is refused, too. */
  async #tryAgain(run: TaskRun, way: Passthrough | undefined): Promise<Answer | undefined> {
    try {
      const answer = await this.#runOnce(run, way);
      this.#sender.quirks.remember(run.change ?? {});
      return answer;
    } catch (error) {
      if (this.#sender.isRefusal(error)) return undefined;
      throw error;
    }
  }

  /** The pass-through for a task; undefined when the task must be translated. */
  #wayOf(task: Task): Passthrough | undefined {
    if (needsAbility(task.endpoint)) return this.#abilities.passthroughOf(task);
    const way = this.#sender.codec.passthrough(task.endpoint);
    if (way === undefined || way.carries?.(task.body) === false || this.#mayNotUnload(task)) return undefined;
    return way;
  }

  #runOnce(run: TaskRun, way: Passthrough | undefined): Promise<Answer> {
    if (way === undefined) return this.#translate(run);
    if (run.task.endpoint === "anthropic-count-tokens") return this.#count(run, way);
    return relay(this.#sender, run, way);
  }

  #translate(run: TaskRun): Promise<Answer> {
    const rules = { lender: this.#lender, thinkingModels: this.#thinkingModels, unloads: this.#unloads };
    return translate(this.#sender, run, rules);
  }

  /** The server's own count where it has one; older servers have none, or not for all requests. */
  async #count(run: TaskRun, way: Passthrough): Promise<Answer> {
    try {
      return await relay(this.#sender, run, way);
    } catch (error) {
      if (run.signal.aborted || toFault(error).retryable) throw error;
      return this.#translate(run);
    }
  }

  /** True for a forbidden request to unload a model. It gets an answer and changes nothing. */
  #mayNotUnload(task: Task): boolean {
    if (this.#unloads || task.admin === true || !mayHaveKeepAlive(task.body)) return false;
    const { request } = parseTask(task);
    return request.kind === "load" && request.unload;
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

  /** Accepts no more tasks. Resolves when the running ones have ended. */
  async retire(): Promise<void> {
    await this.#http.retire();
  }

  async close(): Promise<void> {
    await this.#http.close();
  }
}
