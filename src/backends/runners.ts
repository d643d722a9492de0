import { isObject } from "../core/json.ts";
import type { ModelCard } from "../core/model.ts";
import { parseLossless } from "../protocols/lossless-json.ts";
import type { BackendRequest } from "../protocols/codec.ts";
import { fitToRunner, mayHaveRunnerOptions } from "../protocols/ollama/runner-options.ts";
import type { LoadedRunner, RunnerPolicy } from "../protocols/ollama/runner-options.ts";

interface Known {
  runner: LoadedRunner;
  /** Requests that it is answering. */
  busy: number;
  /** Value of the change counter at its last change. */
  at: number;
}

const UNKNOWN: LoadedRunner = { numCtx: undefined, tokens: undefined, launch: {} };

/** The runners of an Ollama server and their start options, as far as this process has requested them. */
export class Runners {
  readonly #policy: RunnerPolicy;
  /** Runners by the server's own model name. */
  readonly #known = new Map<string, Known>();
  #lengths: ReadonlyMap<string, number> = new Map();
  #changes = 0;

  constructor(policy: RunnerPolicy) {
    this.#policy = policy;
  }

  /** Counter of changes. An inspection that began before a change must not undo it. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * Changes a request to fit the loaded runner. Send it at once: the runner counts as started with these options from
   * now on. A body is parsed only when it has runner options, or when the runner was started with some.
   */
  fit(model: string, request: BackendRequest, admin: boolean): BackendRequest {
    const known = this.#known.get(model);
    const { numCtx, launch = {} } = known?.runner ?? UNKNOWN;
    const isPlain = numCtx === undefined && Object.keys(launch).length === 0;
    if (isPlain && this.#policy.numCtx.kind !== "pin" && !mayHaveRunnerOptions(request.body)) {
      if (known === undefined) this.#note(model, UNKNOWN);
      return request;
    }
    // The body is written again, so 64-bit identifiers must keep their digits.
    const body = parseLossless(request.body.toString());
    if (!isObject(body)) return request;
    const most = this.#lengths.get(model) ?? 0;
    const fitted = fitToRunner(body, { policy: this.#policy, loaded: known?.runner, most, admin });
    this.#note(model, fitted.runner);
    const dropped = [...(request.dropped ?? []), ...fitted.dropped];
    return { ...request, body: JSON.stringify(fitted.body), dropped };
  }

  /** A request was sent. Call {@link requestEnded} when it is over. */
  requestStarted(model: string): void {
    this.#note(model, this.#known.get(model)?.runner).busy += 1;
  }

  requestEnded(model: string): void {
    const known = this.#known.get(model);
    if (known === undefined) return;
    known.busy -= 1;
    known.at = this.#changes += 1;
  }

  /** Records the loaded models. @param since value of {@link changes} when the inspection began */
  update(cards: readonly ModelCard[], since: number): void {
    this.#lengths = new Map(cards.map(({ name, contextLength }) => [name, contextLength]));
    for (const name of this.#known.keys()) if (!this.#lengths.has(name)) this.#unloaded(name, since);
    for (const { name, load } of cards) {
      const known = this.#known.get(name);
      const tokens = load === undefined || load.contextLength === 0 ? undefined : load.contextLength;
      if (load === undefined) this.#unloaded(name, since);
      else if (known !== undefined) known.runner = { ...known.runner, tokens };
      // A runner that others started: a request with the same context length fits it.
      else this.#note(name, { numCtx: tokens, tokens, launch: undefined });
    }
  }

  /** The model is not loaded, or no longer listed. */
  #unloaded(model: string, since: number): void {
    const known = this.#known.get(model);
    if (known !== undefined && known.busy === 0 && known.at <= since) this.#known.delete(model);
  }

  #note(model: string, runner: LoadedRunner = UNKNOWN): Known {
    const known = this.#known.get(model) ?? { runner, busy: 0, at: 0 };
    if (known.runner !== runner || known.at === 0) known.at = this.#changes += 1;
    known.runner = runner;
    this.#known.set(model, known);
    return known;
  }
}
