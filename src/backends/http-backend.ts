import type { NeutralRequest } from "../core/chat.ts";
import { Fault, toFault } from "../core/fault.ts";
import type { ModelCard } from "../core/model.ts";
import type { Task } from "../core/task.ts";
import { estimateTokens } from "../protocols/estimate.ts";
import type { ClientFace, Passthrough } from "../protocols/protocol.ts";
import { isHeartbeat } from "../wire/sse.ts";
import { answerCount, AnswerWriter, openTask, Outlet, withoutThinking } from "./answer.ts";
import type { Answer, Backend, BackendState, ManagementRequest, ReplySink, SlotLender } from "./backend.ts";
import { choicesOf, requestOfChoice, runChoices } from "./choices.ts";
import { HttpOrigin, type HttpTarget } from "./http.ts";
import { PROFILES, type HttpKind, type Profile } from "./profiles.ts";
import type { PostOptions, Receiver, ReplyHeaders } from "./receivers.ts";

export interface HttpBackendOptions {
  readonly kind: HttpKind;
  readonly target: HttpTarget;
  /** Tasks at once; 0 asks the server, else takes its kind's default. */
  readonly slots: number;
  /** Most ms that a connection may take. */
  readonly connectMs?: number;
}

/** One run of a task, as its parts need it. */
interface Run {
  readonly task: Task;
  readonly model: string;
  readonly sink: ReplySink;
  readonly signal: AbortSignal;
}

/** A request to the server, whose reply goes to the sink. */
interface Posting extends Omit<PostOptions, "readError" | "pulse" | "brake"> {
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
  /** The models that can think, by name. */
  #thinkers: ReadonlySet<string> = new Set();
  #firstSeen: ReadonlyMap<string, number> = new Map();

  constructor({ kind, target, slots, connectMs }: HttpBackendOptions) {
    this.kind = kind;
    this.url = target.origin + target.prefix;
    this.name = `${kind}@${this.url.replace(/^\w+:\/\//, "")}`;
    this.#http = new HttpOrigin(target, connectMs);
    this.#profile = PROFILES[kind];
    this.#slots = slots;
  }

  get pieces(): number {
    return this.#http.pieces;
  }

  async inspect(signal: AbortSignal): Promise<BackendState> {
    const state = await this.#profile.inspect(this.#http, signal);
    const thinkers = state.models.filter(({ capabilities }) => capabilities.includes("thinking"));
    this.#thinkers = new Set(thinkers.map(({ name }) => name));
    const slots = this.#slots > 0 ? this.#slots : (state.slots ?? this.#profile.slots);
    return { models: this.#dated(state.models), slots };
  }

  async run(task: Task, model: string, sink: ReplySink, signal: AbortSignal): Promise<Answer> {
    try {
      return await this.#run({ task, model, sink, signal });
    } catch (error) {
      // A reply that is nested beyond the stack, or longer than any text. The request was checked at its gateway.
      if (!(error instanceof RangeError)) throw error;
      throw new Fault("backend_lost", "the backend's reply is too deep or too long", { cause: error });
    }
  }

  #run(run: Run): Promise<Answer> {
    const { task } = run;
    const way = this.#face.passthrough(task.endpoint);
    const passes = way !== undefined && way.carries?.(task.body) !== false;
    if (!passes) return this.#translate(run);
    return task.endpoint === "anthropic-count-tokens" ? this.#count(run, way) : this.#relay(run, way);
  }

  manage({ method, path, body, sink, signal }: ManagementRequest): Promise<void> {
    const receiver: Receiver = {
      onHead: (status, headers) => sink.head(status, contentTypeOf(headers) ?? "application/json"),
      onChunk: (chunk) => sink.write(chunk),
    };
    return this.#http.pass({ method, path, body }, receiver, signal);
  }

  async close(): Promise<void> {
    await this.#http.close();
  }

  get #face(): ClientFace {
    return this.#profile.face;
  }

  /** Same dialect on both sides: the bytes go through as they come. */
  async #relay({ task, model, sink, signal }: Run, way: Passthrough): Promise<Answer> {
    const options = { body: task.body, stream: task.stream, asked: task.model, model };
    const relay = way.relay(options);
    const { path, body, dropped } = way.request(options);
    const outlet = new Outlet(sink, dropped);
    const gathered: Buffer[] = [];
    let contentType = "application/json";
    await this.#post({
      path,
      body,
      signal,
      sink,
      trace: task.trace,
      onHead: (headers) => {
        contentType = contentTypeOf(headers) ?? contentType;
      },
      onChunk: (chunk) => {
        const bytes = relay.push(chunk);
        if (task.stream) outlet.write(bytes, contentType);
        else gathered.push(bytes);
      },
    });
    // Before the end is known to be sound, nothing of an answer in one piece may leave.
    gathered.push(relay.end());
    outlet.write(Buffer.concat(gathered), contentType);
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
  async #translate({ task, model, sink, signal }: Run): Promise<Answer> {
    const opened = openTask(task);
    const request = this.#withinAbility(opened.request, model);
    if (opened.endpoint.counts && request.kind === "chat") {
      return answerCount(new AnswerWriter(opened, sink), estimateTokens(request));
    }
    if (request.kind === "load" && this.#face.dialect !== "ollama") {
      // Only Ollama loads and unloads on demand; elsewhere what is listed is loaded.
      const answer = new AnswerWriter(opened, sink);
      answer.write([{ type: "end", reason: request.unload ? "unload" : "load" }]);
      return answer.finish();
    }
    const { stream, trace } = task;
    const encoded = this.#face.encode(request, { model, stream });
    const unable = request === opened.request ? [] : ["thinking"];
    const answer = new AnswerWriter(opened, sink, { dropped: [...(encoded.dropped ?? []), ...unable] });
    const run = async (choice: number, stop: AbortSignal): Promise<void> => {
      const own = requestOfChoice(request, choice);
      const { path, body } = own === request ? encoded : this.#face.encode(own, { model, stream });
      const reader = this.#face.reader({ request, stream });
      const onChunk = (chunk: Buffer): void => answer.write(reader.push(chunk), choice);
      await this.#post({ path, body, trace, signal: stop, sink, onHead: () => {}, onChunk });
      answer.write(reader.end(), choice);
    };
    await runChoices({ choices: choicesOf(request), lender: this.lender, signal, run });
    return answer.finish();
  }

  #post({ path, body, signal, sink, trace, onHead, onChunk }: Posting): Promise<void> {
    const face = this.#face;
    const { pulse, brake } = sink;
    return this.#http.post({
      path,
      body,
      signal,
      pulse,
      brake,
      trace,
      onHead,
      onChunk: (chunk) => {
        if (!isHeartbeat(chunk)) pulse.alive();
        onChunk(chunk);
      },
      readError: (status, bytes, retryAfter) => face.readError(status, bytes, retryAfter),
    });
  }

  /** A wish to think is left out where the server would refuse it: Ollama does, for models that cannot. */
  #withinAbility(request: NeutralRequest, model: string): NeutralRequest {
    if (request.kind !== "chat" || !request.thinkIfAble || this.#face.dialect !== "ollama") return request;
    return this.#thinkers.has(model) ? request : withoutThinking(request);
  }

  /** A model whose server tells no date has that of its first sight, so that the list stays as it is. */
  #dated(models: readonly ModelCard[]): readonly ModelCard[] {
    const now = Date.now();
    const before = this.#firstSeen;
    this.#firstSeen = new Map(models.map(({ name }) => [name, before.get(name) ?? now]));
    return models.map((card) => {
      return card.modifiedAt > 0 ? card : { ...card, modifiedAt: this.#firstSeen.get(card.name) ?? now };
    });
  }
}

function contentTypeOf(headers: ReplyHeaders): string | undefined {
  const value = headers["content-type"];
  return typeof value === "string" ? value : undefined;
}
