import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Gate } from "../../src/worker/gate.ts";

/** A gate whose clock stands still unless it is turned; chance always says one half. */
let clock = 0;
let states: string[] = [];
let gate: Gate;

const SLOTS = 16;

beforeEach(() => {
  clock = 0;
  states = [];
  gate = new Gate(
    { failures: 3, mono: () => clock, random: () => 0.5 },
    { onRoom: () => {}, onState: (state) => states.push(state) },
  );
});

/** Attempts that began together, ended one after the other. */
function together(count: number, end: (era: number) => void): void {
  const eras = Array.from({ length: count }, () => gate.enter());
  for (const era of eras) {
    end(era);
    gate.leave(era);
  }
}

const fail = (era: number): void => gate.failed(era);
const work = (era: number): void => gate.worked(era, SLOTS);

/** Sixteen come at once, four are taken. */
function overload(): readonly number[] {
  const taken = Array.from({ length: 4 }, () => gate.enter());
  together(12, (era) => gate.busy(era, 0));
  return taken;
}

describe("the gate of a backend that fails", () => {
  it("opens after failures in a row, not after others", () => {
    together(2, fail);
    together(1, work);
    together(2, fail);
    assert.equal(gate.state, "closed");
    assert.equal(gate.room, Infinity);
    together(1, fail);
    assert.equal(gate.state, "open");
    assert.equal(gate.room, 0);
    assert.deepEqual(states, ["open"]);
  });

  it("lets one probe through after a while, and closes when that works", () => {
    together(3, fail);
    clock = 999;
    assert.equal(gate.room, 0);
    clock = 1001;
    assert.equal(gate.state, "half-open");
    assert.equal(gate.room, 1);
    const probe = gate.enter();
    assert.equal(gate.room, 0, "a single one");
    gate.worked(probe, SLOTS);
    gate.leave(probe);
    assert.equal(gate.state, "closed");
    assert.equal(gate.room, Infinity);
    assert.deepEqual(states, ["open", "half-open", "closed"]);
  });

  it("tells each change once, also those that come with time", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const later = (ms: number): void => {
      clock += ms;
      t.mock.timers.tick(ms);
    };
    together(3, fail);
    later(2000);
    assert.deepEqual(states, ["open", "half-open"], "before any task comes");
    together(1, fail);
    later(4000);
    assert.deepEqual(states, ["open", "half-open", "open", "half-open"]);
    const probe = gate.enter();
    gate.begun(probe);
    gate.worked(probe, SLOTS);
    gate.leave(probe);
    together(4, work);
    later(60_000);
    assert.deepEqual(states, ["open", "half-open", "open", "half-open", "closed"]);
  });

  it("tells that its backend is back, and a busy answer to the probe, without a word between", () => {
    together(3, fail);
    gate.revive();
    gate.revive();
    together(1, (era) => gate.busy(era, 0));
    assert.deepEqual(states, ["open", "half-open", "busy"]);
  });

  it("closes when the answer of its probe begins, and what becomes of that is no news", () => {
    together(3, fail);
    clock = 1001;
    const probe = gate.enter();
    assert.equal(gate.probing, true);
    gate.begun(probe);
    assert.deepEqual([gate.state, gate.probing, gate.room], ["closed", false, Infinity]);
    together(2, fail);
    gate.failed(probe);
    gate.leave(probe);
    assert.equal(gate.state, "closed", "the probe counts among no later failures");
    together(1, fail);
    assert.equal(gate.state, "open");
    gate.begun(probe);
    assert.deepEqual(states, ["open", "half-open", "closed", "open"]);
  });

  it("waits longer after each failed probe, and never much longer than ten seconds", () => {
    together(3, fail);
    const waits: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const from = clock;
      while (gate.room === 0) clock += 1;
      waits.push(clock - from);
      together(1, fail);
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 10_000, 10_000]);
  });

  it("takes no news from attempts that began before it opened", () => {
    const late = [gate.enter(), gate.enter()];
    together(3, fail);
    clock = 1001;
    const probe = gate.enter();
    for (const era of late) {
      gate.failed(era);
      gate.leave(era);
    }
    const [old = 0] = late;
    gate.worked(old, SLOTS);
    assert.equal(gate.state, "half-open");
    assert.equal(gate.room, 0, "the probe is still on its way");
    gate.leave(probe);
    assert.equal(gate.room, 1, "a probe without a result makes room for another");
  });

  it("takes a probe at once when the backend is seen to be back", () => {
    together(3, fail);
    gate.revive();
    assert.equal(gate.room, 1);
  });

  it("is closed by a busy answer to its probe: the backend is there", () => {
    together(3, fail);
    clock = 1001;
    together(1, (era) => gate.busy(era, 0));
    assert.equal(gate.state, "busy");
  });
});

describe("the gate of a backend that is busy", () => {
  it("gives it as many as it took, and does not open", () => {
    const [first = 0] = overload();
    assert.equal(gate.limit, 4);
    assert.equal(gate.room, 0);
    gate.worked(first, SLOTS);
    gate.leave(first);
    assert.equal(gate.room, 1);
    assert.deepEqual(states, ["busy"], "a burst is one piece of news");
  });

  it("gives it more again after a quiet time, until its slots are the limit", () => {
    for (const era of overload()) gate.leave(era);
    together(4, work);
    assert.equal(gate.limit, 4);
    clock = 1000;
    together(4, work);
    assert.equal(gate.limit, 8);
    together(8, work);
    assert.equal(gate.limit, Infinity);
    assert.equal(gate.state, "closed");
  });

  it("tells that it is over when it grew back while it was to be left alone", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const taken = Array.from({ length: SLOTS }, () => gate.enter());
    together(1, (era) => gate.busy(era, 5000));
    clock = 2000;
    for (const era of taken) {
      gate.worked(era, SLOTS);
      gate.leave(era);
    }
    assert.equal(gate.room, 0);
    assert.deepEqual(states, ["busy"]);
    clock = 5001;
    t.mock.timers.tick(5001);
    assert.equal(gate.room, Infinity);
    assert.deepEqual(states, ["busy", "closed"]);
  });

  it("stays quiet for longer each time that it was too much", () => {
    for (const era of overload()) gate.leave(era);
    clock = 1000;
    together(1, work);
    const five = Array.from({ length: 5 }, () => gate.enter());
    const [last = 0] = five;
    gate.busy(last, 0);
    for (const era of five) gate.leave(era);
    assert.equal(gate.limit, 4);
    clock = 2999;
    together(1, work);
    assert.equal(gate.limit, 4);
    clock = 3000;
    together(1, work);
    assert.equal(gate.limit, 5);
  });

  it("leaves it alone while it takes none at all, then asks with one", () => {
    together(3, (era) => gate.busy(era, 0));
    assert.equal(gate.room, 0);
    assert.equal(gate.state, "busy");
    clock = 1001;
    assert.equal(gate.room, 1);
  });

  it("leaves it alone for as long as it asked for, within reason", () => {
    gate.enter();
    together(1, (era) => gate.busy(era, 5000));
    clock = 4999;
    assert.equal(gate.room, 0, "although it works on another one");
    clock = 5000;
    assert.equal(gate.limit, 1);
    together(1, (era) => gate.busy(era, 3_600_000));
    clock = 65_000;
    assert.equal(gate.limit, 1);
  });
});
