import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend } from "../../src/backends/backend.ts";
import { BLANK_CARD } from "../../src/core/announcement.ts";
import { failingQueues } from "../../src/core/fleet.ts";
import { queueFor, queueLabel } from "../../src/core/ability.ts";
import type { ModelCard } from "../../src/core/model.ts";
import type { Task } from "../../src/core/task.ts";
import { headsByModel, withQueues } from "../../src/worker/model-queues.ts";
import { sendOwnRequest } from "../../src/worker/own-request.ts";
import { announcementOf } from "../../src/worker/backend-announcement.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";

const RERANK = queueFor("bge", "openai-rerank");
const SPEECH = queueFor("bge", "openai-speech");

function card(key: string, more: Partial<ModelCard> = {}): ModelCard {
  return { ...BLANK_CARD, key, name: key.toUpperCase(), size: 1, ...more };
}

const BGE = card("bge", { endpoints: ["rerank", "speech"], resident: true });
const CHAT = card("chat");

function backendSlots(models: readonly ModelCard[], ran: Task[] = []): BackendSlots {
  const backend: Backend = {
    name: "b",
    kind: "llamacpp",
    url: "",
    loadsOnDemand: true,
    inspect: async () => ({ models, slots: 2 }),
    run: async (task) => {
      ran.push(task);
      return { usage: undefined };
    },
    close: async () => {},
  };
  const placed = new BackendSlots(backend, 2, {
    placement: { ambient: { mono: () => 0 }, modelsLoaded: 1, swapWaitMs: 1000, swapResidencyMs: 1000 },
    circuits: { failures: 1, ambient: { mono: () => 0, random: () => 0 } },
  });
  placed.update({ models, slots: 2 });
  return placed;
}

const words = (queues: readonly string[]): string[] => queues.map(queueLabel);

describe("the queues of a backend", () => {
  it("are those of its models and of their ability queues, and only its models are announced", () => {
    const { queues, models, offer } = backendSlots([BGE, CHAT]);
    const names = ["bge", "bge (rerank)", "bge (speech)", "chat"];
    assert.deepEqual(words(queues.map(({ key }) => key)), names);
    assert.deepEqual(words(offer.models.map(({ key }) => key)), names);
    assert.deepEqual(models, [BGE, CHAT]);
    assert.deepEqual(announcementOf(backendSlots([BGE, CHAT])).models, [BGE, CHAT]);
    assert.equal(backendSlots([BGE]).nameOf(RERANK), "BGE");
    assert.equal(backendSlots([CHAT]).nameOf(queueFor("chat", "openai-rerank")), undefined);
  });

  it("are read anew when the endpoints of a model change", () => {
    const one = backendSlots([BGE]);
    assert.equal(one.update({ models: [BGE], slots: 2 }), false);
    assert.equal(one.update({ models: [{ ...BGE, endpoints: ["rerank"] }], slots: 2 }), true);
    assert.equal(one.nameOf(SPEECH), undefined);
  });

  it("are claimed from when their model is loaded, and wait with a cold one", () => {
    const plan = backendSlots([BGE, CHAT]).plan();
    assert.deepEqual(words(plan?.claim ?? []), ["bge", "bge (rerank)", "bge (speech)"]);
    const cold = backendSlots([
      { ...BGE, resident: false },
      { ...CHAT, resident: true },
    ]);
    assert.deepEqual(words(cold.plan()?.claim ?? []), ["chat"]);
    cold.occupy(RERANK);
    assert.equal(cold.placement?.isLoaded("bge"), true, "a ability loads its model");
    assert.equal(backendSlots([BGE]).plan(), undefined, "one model with abilities is one model");
  });

  it("have circuits of their own", () => {
    const one = backendSlots([BGE]);
    one.occupy(RERANK).failed();
    assert.deepEqual([one.serves(RERANK), one.serves("bge"), one.serves(SPEECH)], [false, true, true]);
    assert.deepEqual(words(one.offer.models.map(({ key }) => key)), ["bge", "bge (speech)"]);
    const { gates = [] } = announcementOf(one);
    assert.deepEqual(gates, [{ model: RERANK, state: "open" }]);
    assert.deepEqual(failingQueues(announcementOf(one)), ["bge (rerank)"]);
  });
});

describe("a model with ability queues", () => {
  it("waits as long as the first of all its queues", () => {
    const heads = headsByModel([
      { model: "bge", entry: undefined, ageMs: 0, delivered: "1-0" },
      { model: RERANK, entry: "5-0", ageMs: 10, delivered: "2-0" },
      { model: SPEECH, entry: "4-0", ageMs: 20, delivered: "3-0" },
      { model: "chat", entry: "9-0", ageMs: 1, delivered: "" },
    ]);
    assert.deepEqual(heads, [
      { model: "bge", entry: "4-0", ageMs: 20, delivered: "1-0 2-0 3-0" },
      { model: "chat", entry: "9-0", ageMs: 1, delivered: "" },
    ]);
  });

  it("is claimed for by those of its queues that are open, in the order of the plan", () => {
    const plan = { claim: ["chat", "bge"], listen: ["chat", "bge"], closing: [], waits: true, recheckAt: 1 };
    const open = [card(RERANK), card("bge"), card("chat")];
    assert.deepEqual(withQueues(plan, open).claim, ["chat", RERANK, "bge"]);
  });
});

describe("the worker's own request for an ability queue", () => {
  it("asks for what the ability queue is for, whatever failed before", async () => {
    const ran: Task[] = [];
    const one = backendSlots([BGE], ran);
    assert.equal(await sendOwnRequest(one.occupy(RERANK), undefined, new AbortController().signal), "works");
    const [task] = ran;
    assert.equal(task?.endpoint, "openai-rerank");
    assert.deepEqual(JSON.parse(String(task.body)), { model: "BGE", query: "Hi", documents: ["Hi"] });
    assert.equal(task.stream, false);
  });

  it("is not made where even the smallest costs much", async () => {
    const ran: Task[] = [];
    const one = backendSlots([BGE], ran);
    const answer = await sendOwnRequest(one.occupy(SPEECH), "openai-speech", new AbortController().signal);
    assert.deepEqual([answer, ran.length], ["unclear", 0]);
  });
});
