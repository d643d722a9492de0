import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KeyRecord } from "../../src/core/access/key-record.ts";
import type { Fault } from "../../src/core/fault.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { queueFor } from "../../src/core/ability.ts";
import { fleetFor } from "../../src/gateway/requests/allowed-fleet.ts";
import { destinationOf } from "../../src/gateway/requests/destination.ts";
import type { KnownFleet } from "../../src/gateway/requests/destination.ts";

const CARDS = ["big", "small"].map(
  (key): ModelCard => ({ key, name: key, modifiedAt: 1, endpoints: ["rerank"] }) as unknown as ModelCard,
);

/** Both models have rerank. `gone` had it a moment ago. */
const ALL: KnownFleet = {
  find: (name) => (["big", "small", "gone"].includes(name) ? name : undefined),
  cardsOf: (key) => CARDS.filter((card) => card.key === key),
  remembers: () => false,
  cards: CARDS,
  known: ["big", "small", "gone"].map((key) => queueFor(key, "openai-rerank")),
  offered: new Set(["big", "small"]),
};

function keyOf(...models: string[]): { readonly role: "client"; readonly key: KeyRecord } {
  return { role: "client", key: { models } as unknown as KeyRecord };
}

function faultOf(models: string[], name: string): Fault {
  try {
    destinationOf(fleetFor(keyOf(...models), ALL), "openai-rerank", name);
  } catch (error) {
    return error as Fault;
  }
  return assert.fail("no fault");
}

describe("the fleet of a key that may use some models", () => {
  it("is the whole one without a key, and for a key that may use all", () => {
    assert.equal(fleetFor({ role: "client" }, ALL), ALL);
    assert.equal(fleetFor(keyOf("x", "*"), ALL), ALL);
  });

  it("has other models as little as such that do not exist", () => {
    const [other, unknown] = [faultOf(["small"], "big"), faultOf(["small"], "none")];
    assert.equal(other.code, "model_not_found");
    assert.equal(other.message.replace("big", "none"), unknown.message);
    // The same for an endpoint that the hidden model lacks: its lack would tell that it is there.
    assert.throws(
      () => destinationOf(fleetFor(keyOf("small"), ALL), "openai-score", "big"),
      (error: Fault) => error.code === "model_not_found",
    );
  });

  it("answers a request without a model by one that the key may use", () => {
    assert.equal(destinationOf(fleetFor(keyOf("small"), ALL), "openai-rerank", "").model, "small");
    assert.equal(faultOf(["big*", "small"], "").code, "model_required");
    assert.equal(faultOf(["none"], "").code, "not_implemented");
  });

  it("asks models that are away only when the key may use them", () => {
    const away = { ...ALL, cards: [], cardsOf: () => [], offered: new Set<string>() };
    assert.equal(destinationOf(fleetFor(keyOf("gone"), away), "openai-rerank", "").model, "gone");
    assert.throws(() => destinationOf(fleetFor(keyOf("none"), away), "openai-rerank", ""));
  });
});
