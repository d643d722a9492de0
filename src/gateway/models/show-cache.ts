import { createHash } from "node:crypto";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import { modelKey } from "../../core/model.ts";
import { showBody } from "../../protocols/model-lists.ts";
import { managedModelNotFound } from "../../protocols/ollama/management.ts";
import { ByteCache } from "./byte-cache.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import type { ManagementAnswer } from "./management-reply.ts";
import { serversOf } from "./management-requests.ts";
import type { ManagementRequests, OllamaServer } from "./management-requests.ts";

export interface ShowCacheOptions {
  readonly catalogue: Pick<Catalogue, "workers" | "cards" | "find">;
  readonly managementRequests: Pick<ManagementRequests, "send">;
  /** Ms, monotonic. */
  readonly mono: () => number;
  /** Returns the fault to report instead of one on a model that no worker serves; the same fault when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
}

/** Age up to which an answer is used again (ms). Some clients ask 23 times in a run, and models change rarely. */
const FRESH_MS = 30_000;

/** Memory for answers (bytes); a usual one takes 5 to 100 KB. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Questions on their way whose answer others can share; each one above this number is sent on its own. */
const MOST_SHARED = 500;

/** Servers tried before an error is reported. */
const MOST_TRIED = 2;

interface Shown {
  readonly at: number;
  readonly answer: ManagementAnswer;
}

/** Details of the fleet's models: read from one server that has the model, and kept for a while. */
export class ShowCache {
  readonly #options: ShowCacheOptions;
  readonly #kept = new ByteCache<Shown>(MOST_BYTES);
  readonly #pending = new Map<string, Promise<ManagementAnswer>>();
  /** Number of orders that changed models: an answer from before an order is not kept after it. */
  #orders = 0;

  constructor(options: ShowCacheOptions) {
    this.#options = options;
  }

  /** Memory of the kept answers (bytes). */
  get keptBytes(): number {
    return this.#kept.used;
  }

  /**
   * Returns the answer to a `POST /api/show`. Equal questions share one answer, also while it is on its way.
   * @throws Fault `model_not_found`, or `backend_busy` when the model is known but no worker serves it now
   */
  async answer(model: string, body: JsonObject): Promise<ManagementAnswer> {
    const { catalogue, mono } = this.#options;
    const key = modelKey(model);
    const question = { verbose: body["verbose"] === true, system: body["system"], options: body["options"] };
    // A digest, because a client's question may be large.
    const id = createHash("sha256")
      .update(JSON.stringify([key, question]))
      .digest("base64");
    const servers = serversOf(catalogue.workers).filter((server) => nameAt(server, key) !== undefined);
    if (servers.length === 0) return this.#fromCard(model);
    const known = this.#kept.get(id);
    if (known !== undefined && mono() - known.at < FRESH_MS) return known.answer;
    const shared = this.#pending.get(id);
    if (shared !== undefined) return shared;
    const answer = this.#query(servers, key, question);
    this.#share(id, answer);
    return answer;
  }

  /** Drops all answers, after an order that changed models. */
  forget(): void {
    this.#orders += 1;
    this.#kept.clear();
    this.#pending.clear();
  }

  #fromCard(model: string): ManagementAnswer {
    const { catalogue } = this.#options;
    const key = modelKey(model);
    const card = catalogue.cards.find((one) => one.key === key);
    if (card !== undefined)
      return { status: 200, contentType: NATIVE_JSON, body: Buffer.from(showBody(card)) };
    if (catalogue.find(model) === undefined) {
      const fault = managedModelNotFound("ollama-show", model);
      throw this.#options.unknownModel?.(fault) ?? fault;
    }
    throw new Fault("backend_busy", "no worker serves the model now");
  }

  async #query(servers: readonly OllamaServer[], key: string, question: object): Promise<ManagementAnswer> {
    let answer: ManagementAnswer | undefined;
    for (const server of servers.slice(0, MOST_TRIED)) {
      const model = nameAt(server, key) ?? key;
      const body = Buffer.from(JSON.stringify({ model, ...question }));
      answer = await this.#options.managementRequests.send(server, { endpoint: "ollama-show", model, body })
        .answer;
      if (answer.status < 500) return answer;
    }
    return answer ?? Promise.reject(new Fault("internal", "no server was asked"));
  }

  /** Shares the answer with others while it is on its way, and for a while after. Errors are not kept. */
  #share(id: string, answer: Promise<ManagementAnswer>): void {
    if (this.#pending.size < MOST_SHARED) this.#pending.set(id, answer);
    const over = (): void => {
      if (this.#pending.get(id) === answer) this.#pending.delete(id);
    };
    const orders = this.#orders;
    const keep = (known: ManagementAnswer): void => {
      if (orders === this.#orders) this.#keep(id, known);
    };
    void answer.then(keep).then(over, over);
  }

  #keep(id: string, known: ManagementAnswer): void {
    if (known.status !== 200) return;
    // A copy: a part of a buffer keeps the whole buffer in memory.
    const body = Buffer.from(known.body);
    this.#kept.set(id, { at: this.#options.mono(), answer: { ...known, body } }, body.length);
  }
}

const NATIVE_JSON = "application/json; charset=utf-8";

/** Returns the name of a model at a server; undefined when the server does not have it. */
function nameAt(server: OllamaServer, key: string): string | undefined {
  return server.models.find((card) => card.key === key)?.name;
}
