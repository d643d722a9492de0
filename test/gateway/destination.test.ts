import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import { ABILITIES, queueFor, queuesOf } from "../../src/core/ability.ts";
import { Fault } from "../../src/core/fault.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { destinationOf, lackOf } from "../../src/gateway/requests/destination.ts";
import type { KnownFleet } from "../../src/gateway/requests/destination.ts";

function card(key: string, ...endpoints: string[]): ModelCard {
  return { ...BLANK_CARD, key, name: key.toUpperCase(), ...(endpoints.length === 0 ? {} : { endpoints }) };
}

interface Past {
  /** Names of queues that no worker reads now. */
  readonly remembered?: readonly string[];
  /** Keys of models that take tasks; all when absent. */
  readonly offered?: readonly string[];
}

function known(
  cards: readonly ModelCard[],
  { remembered = [], offered = cards.map(({ key }) => key) }: Past = {},
): KnownFleet {
  return {
    cards,
    known: [...cards.flatMap(queuesOf), ...remembered],
    offered: new Set(offered),
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
    assert.deepEqual(destinationOf(fleet, "openai-rerank", "A"), { model: "a", queue: rerank, name: "A" });
    assert.deepEqual(destinationOf(fleet, "openai-chat", "A"), { model: "a", queue: "a", name: "A" });
  });

  it("is nowhere when no backend has it, or no worker knows the model", () => {
    const fleet = known([card("a", "score")]);
    assert.throws(() => destinationOf(fleet, "openai-rerank", "a"), {
      code: "not_implemented",
      http: 501,
      message: "no backend of the model 'a' has rerank",
    });
    assert.throws(() => destinationOf(fleet, "openai-rerank", "b"), { code: "model_not_found", http: 404 });
  });

  it("is the ability queue too while a backend that had it is away, or all of the model are", () => {
    assert.equal(
      destinationOf(known([card("a")], { remembered: [rerank] }), "openai-rerank", "a").queue,
      rerank,
    );
    assert.equal(destinationOf(known([], { remembered: ["a"] }), "openai-rerank", "a").queue, rerank);
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
      name: "A",
    });
    assert.throws(() => destinationOf(fleet, "openai-rerank", ""), { code: "not_implemented" });
    const two = known([card("a", "tokenize"), card("b", "tokenize")]);
    assert.throws(() => destinationOf(two, "openai-tokenize", ""), {
      code: "model_required",
      http: 400,
      message: "model is required: several models here have tokenize",
    });
  });

  it("without a model is the one whose only backend is away, too", () => {
    const infill = queueFor("b", "openai-infill");
    const away = known([card("c")], { remembered: ["b", infill] });
    assert.deepEqual(destinationOf(away, "openai-infill", ""), { model: "b", queue: infill, name: "b" });
    // Others serve the model, and none of them has been seen to have the endpoint for a while.
    const lost: KnownFleet = { ...known([card("b")], { remembered: [infill] }), remembers: () => false };
    assert.throws(() => destinationOf(lost, "openai-infill", ""), { code: "not_implemented" });
    const two = known([], { remembered: [infill, queueFor("d", "openai-infill")] });
    assert.throws(() => destinationOf(two, "openai-infill", ""), { code: "model_required" });
  });
});

const OPTIONAL = [
  "openai-moderations",
  "openai-images",
  "openai-image-edits",
  "openai-image-variations",
] as const;
const ASKED_FOR = [
  "openai-rerank",
  "openai-score",
  "openai-tokenize",
  "openai-detokenize",
  "openai-infill",
  "openai-speech",
  "openai-transcriptions",
  "openai-translations",
] as const;

describe("a request without a model where several have the endpoint", () => {
  const all = [...OPTIONAL, ...ASKED_FOR].map((endpoint) => ABILITIES[endpoint]);
  const dated = (key: string, modifiedAt: number): ModelCard => ({ ...card(key, ...all), modifiedAt });

  it("goes to the one modified last where OpenAI takes a model of its own", () => {
    const cards = [dated("b", 5), dated("c", 9), dated("a", 5), dated("b", 7), card("d")];
    for (const endpoint of OPTIONAL) {
      for (const list of [cards, cards.toReversed()]) {
        assert.deepEqual(destinationOf(known(list), endpoint, ""), {
          model: "c",
          queue: queueFor("c", endpoint),
          name: "C",
        });
      }
    }
  });

  it("goes by the name where they are as old, whatever their order", () => {
    const cards = [dated("b", 5), dated("a", 5), dated("c", 5)];
    for (const list of [cards, cards.toReversed()])
      assert.equal(destinationOf(known(list), "openai-moderations", "").model, "a");
  });

  it("goes to one that takes tasks, if any does", () => {
    const cards = [dated("a", 9), dated("b", 5)];
    const chosen = (...offered: string[]): string =>
      destinationOf(known(cards, { offered }), "openai-images", "").model;
    assert.equal(chosen("b"), "b");
    assert.equal(chosen(), "a");
  });

  it("is refused everywhere else", () => {
    const two = known([dated("a", 1), dated("b", 2)]);
    for (const endpoint of ASKED_FOR)
      assert.throws(() => destinationOf(two, endpoint, ""), { code: "model_required", http: 400 });
  });
});
