import { Fault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import { modelKey } from "../core/model.ts";
import { showBody } from "../protocols/listings.ts";
import { notManaged } from "../protocols/ollama/management.ts";
import type { Catalogue } from "./catalogue.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import { serversOf } from "./errands.ts";
import type { Errands, Server } from "./errands.ts";

export interface ShowViewOptions {
  readonly catalogue: Pick<Catalogue, "workers" | "cards" | "find">;
  readonly errands: Pick<Errands, "send">;
  /** Ms, monotonic. */
  readonly mono: () => number;
}

/** Some clients ask 23 times in a run; what a model is changes rarely. Ms. */
const FRESH_MS = 30_000;

const MOST_KEPT = 500;

/** Servers asked before an error is told. */
const MOST_ASKED = 2;

interface Shown {
  readonly at: number;
  readonly answer: Promise<ErrandAnswer>;
}

/** What the models of the fleet are, in detail: asked of one server that has the model, and kept for a while. */
export class ShowView {
  readonly #options: ShowViewOptions;
  /** Oldest first. */
  readonly #kept = new Map<string, Shown>();

  constructor(options: ShowViewOptions) {
    this.#options = options;
  }

  /**
   * The answer to a `POST /api/show`; equal questions share one answer, also while it is under way. Throws
   * `model_not_found`, or `backend_busy` when the model is known but nobody serves it now.
   */
  async answer(model: string, body: JsonObject): Promise<ErrandAnswer> {
    const { catalogue, mono } = this.#options;
    const key = modelKey(model);
    const question = { verbose: body["verbose"] === true, system: body["system"], options: body["options"] };
    const id = JSON.stringify([key, question]);
    const servers = serversOf(catalogue.workers).filter((server) => nameAt(server, key) !== undefined);
    if (servers.length === 0) return this.#fromCard(model);
    const known = this.#kept.get(id);
    if (known !== undefined && mono() - known.at < FRESH_MS) return known.answer;
    const answer = this.#ask(servers, key, question);
    this.#keep(id, { at: mono(), answer });
    return answer;
  }

  /** An order has changed models: what was said of them may be so no more. */
  forget(): void {
    this.#kept.clear();
  }

  #fromCard(model: string): ErrandAnswer {
    const { catalogue } = this.#options;
    const key = modelKey(model);
    const card = catalogue.cards.find((one) => one.key === key);
    if (card !== undefined)
      return { status: 200, contentType: NATIVE_JSON, body: Buffer.from(showBody(card)) };
    if (catalogue.find(model) === undefined) throw notManaged("ollama-show", model);
    throw new Fault("backend_busy", "no worker serves the model now");
  }

  async #ask(servers: readonly Server[], key: string, question: object): Promise<ErrandAnswer> {
    let answer: ErrandAnswer | undefined;
    for (const server of servers.slice(0, MOST_ASKED)) {
      const model = nameAt(server, key) ?? key;
      const body = Buffer.from(JSON.stringify({ model, ...question }));
      answer = await this.#options.errands.send(server, { errand: "ollama-show", model, body }).answer;
      if (answer.status < 500) return answer;
    }
    return answer ?? Promise.reject(new Fault("internal", "no server was asked"));
  }

  #keep(id: string, shown: Shown): void {
    this.#kept.delete(id);
    this.#kept.set(id, shown);
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    const forget = (): void => {
      if (this.#kept.get(id) === shown) this.#kept.delete(id);
    };
    // Errors are not kept.
    void shown.answer.then(({ status }) => (status === 200 ? undefined : forget()), forget);
  }
}

const NATIVE_JSON = "application/json; charset=utf-8";

/** What a server calls a model; undefined when it does not have it. */
function nameAt(server: Server, key: string): string | undefined {
  return server.models.find((card) => card.key === key)?.name;
}
