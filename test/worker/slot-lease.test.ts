import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BackendSlots } from "../../src/worker/backend-slots.ts";
import { idleBackendSlots, TINY_CARD } from "./idle-backend.ts";

describe("the lease of a slot", () => {
  it("frees its slot once, however often it is released", () => {
    const backendSlots = idleBackendSlots(2);
    const [one, other] = [backendSlots.occupy("tiny"), backendSlots.occupy("tiny")];
    one.release();
    one.release();
    assert.deepEqual([backendSlots.busy, backendSlots.free], [1, 1]);
    other.release();
    assert.deepEqual([backendSlots.busy, backendSlots.free], [0, 2]);
  });

  it("leaves its circuit once: the permit of a probe is not given away twice", () => {
    let clock = 0;
    const ambient = { mono: () => clock, random: () => 0.5 };
    const backendSlots = idleBackendSlots(4, { circuits: { failures: 1, ambient } });
    const failing = backendSlots.occupy("tiny");
    failing.failed();
    failing.release();
    failing.release();
    clock = 2000;
    const probe = backendSlots.occupy("tiny");
    assert.deepEqual([probe.probes, backendSlots.roomFor("tiny")], [true, 0]);
    probe.release();
    probe.release();
    assert.equal(backendSlots.roomFor("tiny"), 1, "one probe at a time");
    const next = backendSlots.occupy("tiny");
    next.firstToken();
    assert.deepEqual([next.probes, backendSlots.circuits.of("tiny").state], [false, "closed"]);
  });

  it("reports the load of a cold model, and a failed load is not tried again at once", () => {
    const { backend } = idleBackendSlots(2);
    Object.assign(backend, { loadsOnDemand: true });
    const placement = { swapWaitMs: 0, swapResidencyMs: 0, modelsLoaded: 1, ambient: { mono: () => 1 } };
    const backendSlots = new BackendSlots(backend, 2, { placement });
    backendSlots.update({ models: [{ ...TINY_CARD, resident: false }], slots: 2 });
    const lost = backendSlots.occupy("tiny");
    assert.equal(lost.cold, true);
    lost.loadFailed();
    lost.release();
    assert.equal(backendSlots.placement?.isLoaded("tiny"), false);
    const loading = backendSlots.occupy("tiny");
    loading.loaded();
    loading.release();
    assert.equal(backendSlots.placement.isLoaded("tiny"), true);
    assert.equal(backendSlots.occupy("tiny").cold, false);
  });
});
