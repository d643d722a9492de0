import { isObject } from "../core/json.ts";
import type { ModelCard } from "../core/model.ts";
import { parseExact } from "../protocols/exact.ts";
import type { BackendRequest } from "../protocols/protocol.ts";
import { fitRunner, mayTellRunner } from "../protocols/ollama/runner-options.ts";
import type { LoadedRunner, RunnerPolicy } from "../protocols/ollama/runner-options.ts";

interface Known {
  runner: LoadedRunner;
  /** Requests that it answers. */
  busy: number;
  /** The count of changes when it last changed. */
  at: number;
}

const UNKNOWN: LoadedRunner = { numCtx: undefined, tokens: undefined, launch: {} };

/** The runners of an Ollama server, as far as this process has asked for them: what they were started with. */
export class Runners {
  readonly #policy: RunnerPolicy;
  /** By the server's own name of the model. */
  readonly #known = new Map<string, Known>();
  #lengths: ReadonlyMap<string, number> = new Map();
  #changes = 0;

  constructor(policy: RunnerPolicy) {
    this.#policy = policy;
  }

  /** Counts changes: what was asked before one is no news after it. */
  get changes(): number {
    return this.#changes;
  }

  /**
   * The request as the loaded runner can take it. To be sent at once: from now on the runner counts as started with
   * what this says. Only bodies that tell something about it are parsed, and all while it was started with options.
   */
  fit(model: string, request: BackendRequest, admin: boolean): BackendRequest {
    const known = this.#known.get(model);
    const { numCtx, launch = {} } = known?.runner ?? UNKNOWN;
    const isPlain = numCtx === undefined && Object.keys(launch).length === 0;
    if (isPlain && this.#policy.numCtx.kind !== "pin" && !mayTellRunner(request.body)) {
      if (known === undefined) this.#note(model, UNKNOWN);
      return request;
    }
    // It is written again: identifiers of 64 bits must stay as they came.
    const body = parseExact(request.body.toString());
    if (!isObject(body)) return request;
    const most = this.#lengths.get(model) ?? 0;
    const fitted = fitRunner(body, { policy: this.#policy, loaded: known?.runner, most, admin });
    this.#note(model, fitted.runner);
    const dropped = [...(request.dropped ?? []), ...fitted.dropped];
    return { ...request, body: JSON.stringify(fitted.body), dropped };
  }

  /** A request is on its way; to be told when it is over. */
  entered(model: string): void {
    this.#note(model, this.#known.get(model)?.runner).busy += 1;
  }

  left(model: string): void {
    const known = this.#known.get(model);
    if (known === undefined) return;
    known.busy -= 1;
    known.at = this.#changes += 1;
  }

  /** Records what the server has in memory. @param since {@link changes} when it was asked */
  seen(cards: readonly ModelCard[], since: number): void {
    this.#lengths = new Map(cards.map(({ name, contextLength }) => [name, contextLength]));
    for (const name of this.#known.keys()) if (!this.#lengths.has(name)) this.#gone(name, since);
    for (const { name, load } of cards) {
      const known = this.#known.get(name);
      const tokens = load === undefined || load.contextLength === 0 ? undefined : load.contextLength;
      if (load === undefined) this.#gone(name, since);
      else if (known !== undefined) known.runner = { ...known.runner, tokens };
      // Started by others: the same number suits it, whether it was named or not.
      else this.#note(name, { numCtx: tokens, tokens, launch: undefined });
    }
  }

  /** Not in memory, or not listed any more. */
  #gone(model: string, since: number): void {
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
