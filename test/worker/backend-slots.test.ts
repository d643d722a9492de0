import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import type { SlotLender } from "../../src/backends/backend.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { idleBackendSlots, TINY_CARD } from "./idle-backend.ts";

describe("the slots of a backend", () => {
  it("are lent as long as some are free, and count as busy until they are given back", () => {
    const lenders: (SlotLender | undefined)[] = [];
    const { backend } = idleBackendSlots(2);
    backend.useLender = (given) => void lenders.push(given);
    const backendSlots = new BackendSlots(backend, 2);
    backendSlots.update({ models: [TINY_CARD], slots: 2 });
    const [lender] = lenders;
    assert.equal(lender, backendSlots);
    backendSlots.occupy("tiny");
    assert.equal(lender?.borrow(), true);
    assert.deepEqual([backendSlots.busy, backendSlots.free, lender.borrow()], [2, 0, false]);
    lender.returnSlot();
    assert.deepEqual([backendSlots.busy, backendSlots.free], [1, 1]);
  });

  it("are not lent while one is kept for a task that was taken over", () => {
    const backendSlots = idleBackendSlots(1);
    backendSlots.reserve("tiny", true);
    assert.equal(backendSlots.borrow(), false);
    backendSlots.reserve("tiny", false);
    assert.equal(backendSlots.borrow(), true);
  });

  it("are not lent while a busy backend bounds what it takes", () => {
    const backendSlots = idleBackendSlots(4);
    backendSlots.occupy("tiny").busy(0);
    assert.equal(backendSlots.borrow(), false);
  });

  it("that were lent since a task was claimed are not there for it", () => {
    const backendSlots = idleBackendSlots(2);
    backendSlots.occupy("tiny");
    backendSlots.borrow();
    assert.equal(backendSlots.admits("tiny"), false);
    backendSlots.returnSlot();
    assert.equal(backendSlots.admits("tiny"), true);
  });

  it("that tasks have which are being taken over are no others', and wake who waits when they are released", async () => {
    const backendSlots = idleBackendSlots(3);
    backendSlots.borrow();
    const one = backendSlots.occupy("tiny");
    backendSlots.occupy("tiny");
    assert.deepEqual(
      [backendSlots.free, backendSlots.borrow(), backendSlots.admits("tiny")],
      [0, false, false],
    );
    const changed = backendSlots.changed();
    one.release();
    await changed;
    assert.deepEqual([backendSlots.free, backendSlots.admits("tiny")], [1, true]);
  });

  it("given back wake who waits for one", async () => {
    const backendSlots = idleBackendSlots(1);
    assert.ok(backendSlots.borrow());
    const changed = backendSlots.changed();
    backendSlots.returnSlot();
    await changed;
  });
});

/** The models of a backend that has room for one of them. */
function cardsWith(loaded: string): readonly ModelCard[] {
  return [
    { ...TINY_CARD, resident: loaded === "tiny" },
    { ...TINY_CARD, key: "big", name: "big", resident: loaded === "big" },
  ];
}

test("a task that outlives the kind of its backend does not keep its model loaded for ever", () => {
  const server = {
    name: "one",
    kind: "unknown" as const,
    url: "",
    loadsOnDemand: true,
    inspect: () => Promise.resolve({ models: cardsWith("tiny"), slots: 2 }),
    run: () => Promise.reject(new Error("nothing was to be run")),
    close: () => Promise.resolve(),
  };
  const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, ambient: { mono: () => 1 } };
  const backendSlots = new BackendSlots(server, 2, { placement });
  backendSlots.update({ models: cardsWith("tiny"), slots: 2 }, 1);
  const permit = backendSlots.occupy("tiny");
  assert.equal(backendSlots.placement?.isLoaded("tiny"), true);
  server.loadsOnDemand = false;
  permit.release();
  server.loadsOnDemand = true;
  backendSlots.update({ models: cardsWith("big"), slots: 2 }, 2);
  assert.equal(backendSlots.placement.isLoaded("tiny"), false);
});
