import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import { queueFor } from "../../src/core/ability.ts";
import { Fault } from "../../src/core/fault.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { destinationOf, lackOf } from "../../src/gateway/destination.ts";
import type { Known } from "../../src/gateway/destination.ts";

function card(key: string, ...endpoints: string[]): ModelCard {
  return { ...BLANK_CARD, key, name: key.toUpperCase(), ...(endpoints.length === 0 ? {} : { endpoints }) };
}

/** @param remembered names of queues that nobody reads now */
function known(cards: readonly ModelCard[], remembered: readonly string[] = []): Known {
  return {
    cards,
    cardsOf: (key) => cards.filter((one) => one.key === key),
    remembers: (queue) => remembered.includes(queue),
    find: (name) => {
      const key = name.toLowerCase();
      return cards.some((one) => one.key === key) || remembered.includes(key) ? key : undefined;
    },
  };
}

const starting = (): Fault => new Fault("fleet_starting", "not yet");

describe("where a request of the surface goes", () => {
  const rerank = queueFor("a", "openai-rerank");

  it("is the ability queue of its model, when one backend at least has the endpoint", () => {
    const fleet = known([card("a"), card("a", "rerank")]);
    assert.deepEqual(destinationOf(fleet, "openai-rerank", "A"), { model: "a", queue: rerank, asked: "A" });
    assert.deepEqual(destinationOf(fleet, "openai-chat", "A"), { model: "a", queue: "a", asked: "A" });
  });

  it("is nowhere when no backend has it, or nobody knows the model", () => {
    const fleet = known([card("a", "score")]);
    assert.throws(() => destinationOf(fleet, "openai-rerank", "a"), {
      code: "not_implemented",
      http: 501,
      message: "no backend of the model 'a' has rerank",
    });
    assert.throws(() => destinationOf(fleet, "openai-rerank", "b"), { code: "model_not_found", http: 404 });
  });

  it("is the ability queue too while a backend that had it is away, or all of the model are", () => {
    assert.equal(destinationOf(known([card("a")], [rerank]), "openai-rerank", "a").queue, rerank);
    assert.equal(destinationOf(known([], ["a"]), "openai-rerank", "a").queue, rerank);
  });

  it("stays open to what waits in it while a worker that is getting ready may have it", () => {
    const fleet = known([card("a")]);
    const waiting = { queue: rerank, task: { endpoint: "openai-rerank", model: "a" } } as const;
    assert.equal(lackOf(fleet, waiting)?.code, "not_implemented");
    assert.equal(lackOf(fleet, waiting, starting), undefined);
    assert.equal(lackOf(fleet, waiting, (fault) => fault)?.code, "not_implemented");
    assert.throws(() => destinationOf(fleet, "openai-rerank", "a", starting), { code: "fleet_starting" });
  });

  it("without a model is the only one that has the endpoint", () => {
    const fleet = known([card("b"), card("a", "tokenize"), card("a", "tokenize"), card("c", "infill")]);
    assert.deepEqual(destinationOf(fleet, "openai-tokenize", ""), {
      model: "a",
      queue: queueFor("a", "openai-tokenize"),
      asked: "A",
    });
    assert.throws(() => destinationOf(fleet, "openai-rerank", ""), { code: "not_implemented" });
    const two = known([card("a", "tokenize"), card("b", "tokenize")]);
    assert.throws(() => destinationOf(two, "openai-tokenize", ""), {
      code: "model_required",
      http: 400,
      message: "model is required: several models here have tokenize",
    });
  });
});
