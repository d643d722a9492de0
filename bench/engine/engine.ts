/** The simulated engine: requests in, tokens out, on simulated time. No HTTP and no clock. */
import { newCounters } from "./counters.ts";
import type { EngineCounters } from "./counters.ts";
import { runnerOptions } from "./runner-options.ts";
import { Scheduler } from "./scheduler.ts";
import type { RunnerRequest, Refusal, Runner } from "./scheduler.ts";
import type { Work, WorkReport } from "./slot-pool.ts";
import type { EngineSpec, SimModel } from "./spec.ts";
import type { Timeline } from "./timeline.ts";

/** A request as the engine needs it. */
export interface EngineRequest {
  /** `load` only brings the model into memory. */
  readonly kind: "generate" | "embed" | "load";
  readonly model: SimModel;
  readonly prompt: string;
  /** To generate; undefined takes what the model says by itself. */
  readonly tokens: number | undefined;
  /** Ollama's `options`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly keepAliveMs: number | undefined;
}

/** The cost of an answer; times in simulated ms. */
export interface AnswerReport extends WorkReport {
  /** From the request to its runner: waits and loads. */
  readonly loadMs: number;
  readonly totalMs: number;
}

/** The sender of a request. One of the last two is called once, unless the client leaves before. */
export interface Listener {
  onToken(index: number): void;
  onEnd(report: AnswerReport): void;
  onRefusal(refusal: Refusal): void;
}

/** A request under way. */
export interface EngineCall {
  /** The client has gone; without effect once the request has ended. */
  leave(): void;
}

const NO_WORK: WorkReport = { promptTokens: 0, cachedTokens: 0, tokens: 0, prefillMs: 0, decodeMs: 0 };

export class Engine {
  readonly spec: EngineSpec;
  readonly counters: EngineCounters = newCounters();
  readonly #timeline: Timeline;
  readonly #scheduler: Scheduler;

  constructor(spec: EngineSpec, timeline: Timeline) {
    this.spec = spec;
    this.#timeline = timeline;
    this.#scheduler = new Scheduler(spec, timeline, this.counters);
  }

  /** Models in memory, those that are loading included. */
  get runners(): readonly Runner[] {
    return this.#scheduler.runners;
  }

  get usedBytes(): number {
    return this.#scheduler.usedBytes;
  }

  /** Requests that wait for a runner. */
  get waiting(): number {
    return this.#scheduler.waiting;
  }

  /** Requests that wait for a slot of their runner. */
  get deferred(): number {
    return this.runners.reduce((sum, { pool }) => sum + pool.deferred, 0);
  }

  /** The model of a name, which may leave `:latest` out; undefined when there is none. */
  modelOf(name: string): SimModel | undefined {
    const wanted = (name.includes(":") ? name : `${name}:latest`).toLowerCase();
    return this.spec.models.find((model) => model.name === wanted);
  }

  /** Takes a request in. */
  ask(request: EngineRequest, listener: Listener): EngineCall {
    this.counters.requests += 1;
    const call = new Call(this, { request, listener, timeline: this.#timeline, scheduler: this.#scheduler });
    call.start();
    return call;
  }

  /** Unloads a model at once, or as soon as it is idle. */
  unload(model: SimModel): void {
    this.#scheduler.expire(model.name);
  }
}

interface CallContext {
  readonly request: EngineRequest;
  readonly listener: Listener;
  readonly timeline: Timeline;
  readonly scheduler: Scheduler;
}

/** One request from its arrival to its end. */
class Call implements EngineCall, RunnerRequest, Work {
  readonly model: SimModel;
  readonly options: RunnerRequest["options"];
  readonly keepAliveMs: number | undefined;
  readonly prompt: string;
  readonly tokens: number;
  readonly #engine: Engine;
  readonly #context: CallContext;
  readonly #askedAtMs: number;
  #grantedAtMs = 0;
  #runner: Runner | undefined;
  #made = 0;
  #isOver = false;

  constructor(engine: Engine, context: CallContext) {
    const { request, timeline } = context;
    this.#engine = engine;
    this.#context = context;
    this.#askedAtMs = timeline.nowMs;
    this.model = request.model;
    this.options = runnerOptions(request.options, engine.spec.numCtx);
    this.keepAliveMs = request.keepAliveMs;
    this.prompt = request.prompt;
    this.tokens = request.kind === "generate" ? (request.tokens ?? request.model.tokens) : 0;
  }

  start(): void {
    this.#context.scheduler.ask(this);
  }

  leave(): void {
    if (this.#isOver) return;
    this.#engine.counters.aborted += 1;
    this.#engine.counters.wastedTokens += this.#made;
    this.#over();
  }

  onGrant(runner: Runner): void {
    this.#runner = runner;
    this.#grantedAtMs = this.#context.timeline.nowMs;
    if (this.#context.request.kind === "load") this.onEnd(NO_WORK);
    else runner.pool.enter(this);
  }

  onRefusal(refusal: Refusal): void {
    this.#isOver = true;
    this.#context.listener.onRefusal(refusal);
  }

  onToken(index: number): void {
    this.#made = index + 1;
    this.#context.listener.onToken(index);
  }

  onEnd(work: WorkReport): void {
    const { counters } = this.#engine;
    counters.answers += 1;
    counters.promptTokens += work.promptTokens;
    counters.cachedTokens += work.cachedTokens;
    counters.hits += work.cachedTokens > 0 ? 1 : 0;
    counters.tokens += work.tokens;
    counters.prefillMs += work.prefillMs;
    counters.decodeMs += work.decodeMs;
    this.#over();
    const loadMs = this.#grantedAtMs - this.#askedAtMs;
    this.#context.listener.onEnd({
      ...work,
      loadMs,
      totalMs: this.#context.timeline.nowMs - this.#askedAtMs,
    });
  }

  #over(): void {
    this.#isOver = true;
    this.#runner?.pool.leave(this);
    this.#context.scheduler.leave(this);
  }
}
