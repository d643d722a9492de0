import { createHash } from "node:crypto";
import { Fault } from "../core/fault.ts";
import type { JsonObject } from "../core/json.ts";
import { modelKey } from "../core/model.ts";
import { showBody } from "../protocols/listings.ts";
import { notManaged } from "../protocols/ollama/management.ts";
import { ByteCache } from "./byte-cache.ts";
import type { Catalogue } from "./catalogue.ts";
import type { ErrandAnswer } from "./errand-reply.ts";
import { serversOf } from "./errands.ts";
import type { Errands, Server } from "./errands.ts";

export interface ShowViewOptions {
  readonly catalogue: Pick<Catalogue, "workers" | "cards" | "find">;
  readonly errands: Pick<Errands, "send">;
  /** Ms, monotonic. */
  readonly mono: () => number;
  /** The fault to tell instead of one on a model that no worker serves; the same when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
}

/** Some clients ask 23 times in a run; what a model is changes rarely. Ms. */
const FRESH_MS = 30_000;

/** Bytes of answers that are kept: usual ones take 5 to 100 KB. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Questions under way that others can share the answer of; more are asked on their own. */
const MOST_SHARED = 500;

/** Servers asked before an error is told. */
const MOST_ASKED = 2;

interface Shown {
  readonly at: number;
  readonly answer: ErrandAnswer;
}

/** What the models of the fleet are, in detail: asked of one server that has the model, and kept for a while. */
export class ShowView {
  readonly #options: ShowViewOptions;
  readonly #kept = new ByteCache<Shown>(MOST_BYTES);
  readonly #underWay = new Map<string, Promise<ErrandAnswer>>();
  /** Orders that changed models: an answer from before one is not kept after it. */
  #orders = 0;

  constructor(options: ShowViewOptions) {
    this.#options = options;
  }

  /** Bytes of answers that are kept. */
  get keptBytes(): number {
    return this.#kept.used;
  }

  /**
   * The answer to a `POST /api/show`; equal questions share one answer, also while it is under way. Throws
   * `model_not_found`, or `backend_busy` when the model is known but nobody serves it now.
   */
  async answer(model: string, body: JsonObject): Promise<ErrandAnswer> {
    const { catalogue, mono } = this.#options;
    const key = modelKey(model);
    const question = { verbose: body["verbose"] === true, system: body["system"], options: body["options"] };
    // The question is the client's, and may be large.
    const id = createHash("sha256")
      .update(JSON.stringify([key, question]))
      .digest("base64");
    const servers = serversOf(catalogue.workers).filter((server) => nameAt(server, key) !== undefined);
    if (servers.length === 0) return this.#fromCard(model);
    const known = this.#kept.get(id);
    if (known !== undefined && mono() - known.at < FRESH_MS) return known.answer;
    const shared = this.#underWay.get(id);
    if (shared !== undefined) return shared;
    const answer = this.#ask(servers, key, question);
    this.#share(id, answer);
    return answer;
  }

  /** An order has changed models: what was said of them may be so no more. */
  forget(): void {
    this.#orders += 1;
    this.#kept.clear();
    this.#underWay.clear();
  }

  #fromCard(model: string): ErrandAnswer {
    const { catalogue } = this.#options;
    const key = modelKey(model);
    const card = catalogue.cards.find((one) => one.key === key);
    if (card !== undefined)
      return { status: 200, contentType: NATIVE_JSON, body: Buffer.from(showBody(card)) };
    if (catalogue.find(model) === undefined) {
      const fault = notManaged("ollama-show", model);
      throw this.#options.unknownModel?.(fault) ?? fault;
    }
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

  /** Lets others have the answer while it is under way, and for a while after. Errors are not kept. */
  #share(id: string, answer: Promise<ErrandAnswer>): void {
    if (this.#underWay.size < MOST_SHARED) this.#underWay.set(id, answer);
    const over = (): void => {
      if (this.#underWay.get(id) === answer) this.#underWay.delete(id);
    };
    const orders = this.#orders;
    const keep = (known: ErrandAnswer): void => {
      if (orders === this.#orders) this.#keep(id, known);
    };
    void answer.then(keep).then(over, over);
  }

  #keep(id: string, known: ErrandAnswer): void {
    if (known.status !== 200) return;
    // A copy: what was read with it stays in memory with a part of it.
    const body = Buffer.from(known.body);
    this.#kept.set(id, { at: this.#options.mono(), answer: { ...known, body } }, body.length);
  }
}

const NATIVE_JSON = "application/json; charset=utf-8";

/** What a server calls a model; undefined when it does not have it. */
function nameAt(server: Server, key: string): string | undefined {
  return server.models.find((card) => card.key === key)?.name;
}
