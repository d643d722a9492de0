import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { CircuitBreaker } from "../../src/worker/circuit-breaker.ts";

/** A circuit whose clock stands still unless a test moves it; its random number is always one half. */
let clock = 0;
let states: string[] = [];
let circuit: CircuitBreaker;

const SLOTS = 16;

beforeEach(() => {
  clock = 0;
  states = [];
  circuit = new CircuitBreaker(
    { failures: 3, ambient: { mono: () => clock, random: () => 0.5 } },
    { onRoom: () => {}, onState: (state) => states.push(state) },
  );
});

/** Attempts that began together, ended one after the other. */
function together(count: number, end: (generation: number) => void): void {
  const generations = Array.from({ length: count }, () => circuit.enter());
  for (const generation of generations) {
    end(generation);
    circuit.leave(generation);
  }
}

const fail = (generation: number): void => circuit.failed(generation);
const work = (generation: number): void => circuit.succeeded(generation, SLOTS);

/** Sixteen come at once, four are taken. */
function overload(): readonly number[] {
  const taken = Array.from({ length: 4 }, () => circuit.enter());
  together(12, (generation) => circuit.busy(generation, 0));
  return taken;
}

describe("the circuit of a backend that fails", () => {
  it("opens after failures in a row, not after others", () => {
    together(2, fail);
    together(1, work);
    together(2, fail);
    assert.equal(circuit.state, "closed");
    assert.equal(circuit.room, Infinity);
    together(1, fail);
    assert.equal(circuit.state, "open");
    assert.equal(circuit.room, 0);
    assert.deepEqual(states, ["open"]);
  });

  it("lets one probe through after a while, and closes when that works", () => {
    together(3, fail);
    clock = 999;
    assert.equal(circuit.room, 0);
    clock = 1001;
    assert.equal(circuit.state, "half-open");
    assert.equal(circuit.room, 1);
    const probe = circuit.enter();
    assert.equal(circuit.room, 0, "a single one");
    circuit.succeeded(probe, SLOTS);
    circuit.leave(probe);
    assert.equal(circuit.state, "closed");
    assert.equal(circuit.room, Infinity);
    assert.deepEqual(states, ["open", "half-open", "closed"]);
  });

  it("reports each change once, also a change that comes with time", (t) => {
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
    const probe = circuit.enter();
    circuit.firstToken(probe);
    circuit.succeeded(probe, SLOTS);
    circuit.leave(probe);
    together(4, work);
    later(60_000);
    assert.deepEqual(states, ["open", "half-open", "open", "half-open", "closed"]);
  });

  it("reports that its backend is back, and a busy answer to the probe, without a word between", () => {
    together(3, fail);
    circuit.recovered();
    circuit.recovered();
    together(1, (generation) => circuit.busy(generation, 0));
    assert.deepEqual(states, ["open", "half-open", "busy"]);
  });

  it("closes when the answer of its probe begins, and what becomes of that is no news", () => {
    together(3, fail);
    clock = 1001;
    const probe = circuit.enter();
    assert.equal(circuit.probing, true);
    circuit.firstToken(probe);
    assert.deepEqual([circuit.state, circuit.probing, circuit.room], ["closed", false, Infinity]);
    together(2, fail);
    circuit.failed(probe);
    circuit.leave(probe);
    assert.equal(circuit.state, "closed", "the probe counts among no later failures");
    together(1, fail);
    assert.equal(circuit.state, "open");
    circuit.firstToken(probe);
    assert.deepEqual(states, ["open", "half-open", "closed", "open"]);
  });

  it("waits longer after each failed probe, and never much longer than ten seconds", () => {
    together(3, fail);
    const waits: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const from = clock;
      while (circuit.room === 0) clock += 1;
      waits.push(clock - from);
      together(1, fail);
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 10_000, 10_000]);
  });

  it("takes no news from attempts that began before it opened", () => {
    const late = [circuit.enter(), circuit.enter()];
    together(3, fail);
    clock = 1001;
    const probe = circuit.enter();
    for (const generation of late) {
      circuit.failed(generation);
      circuit.leave(generation);
    }
    const [old = 0] = late;
    circuit.succeeded(old, SLOTS);
    assert.equal(circuit.state, "half-open");
    assert.equal(circuit.room, 0, "the probe is still on its way");
    circuit.leave(probe);
    assert.equal(circuit.room, 1, "a probe without a result makes room for another");
  });

  it("takes a probe at once when the backend is seen to be back", () => {
    together(3, fail);
    circuit.recovered();
    assert.equal(circuit.room, 1);
  });

  it("is closed by a busy answer to its probe: the backend is there", () => {
    together(3, fail);
    clock = 1001;
    together(1, (generation) => circuit.busy(generation, 0));
    assert.equal(circuit.state, "busy");
  });
});

describe("the circuit of a backend that is busy", () => {
  it("gives it as many as it took, and does not open", () => {
    const [first = 0] = overload();
    assert.equal(circuit.limit, 4);
    assert.equal(circuit.room, 0);
    circuit.succeeded(first, SLOTS);
    circuit.leave(first);
    assert.equal(circuit.room, 1);
    assert.deepEqual(states, ["busy"], "a burst is one piece of news");
  });

  it("gives it more again after a quiet time, until its slots are the limit", () => {
    for (const generation of overload()) circuit.leave(generation);
    together(4, work);
    assert.equal(circuit.limit, 4);
    clock = 1000;
    together(4, work);
    assert.equal(circuit.limit, 8);
    together(8, work);
    assert.equal(circuit.limit, Infinity);
    assert.equal(circuit.state, "closed");
  });

  it("reports that it is over when it grew back while it was to be left alone", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const taken = Array.from({ length: SLOTS }, () => circuit.enter());
    together(1, (generation) => circuit.busy(generation, 5000));
    clock = 2000;
    for (const generation of taken) {
      circuit.succeeded(generation, SLOTS);
      circuit.leave(generation);
    }
    assert.equal(circuit.room, 0);
    assert.deepEqual(states, ["busy"]);
    clock = 5001;
    t.mock.timers.tick(5001);
    assert.equal(circuit.room, Infinity);
    assert.deepEqual(states, ["busy", "closed"]);
  });

  it("stays quiet for longer each time that it was too much", () => {
    for (const generation of overload()) circuit.leave(generation);
    clock = 1000;
    together(1, work);
    const five = Array.from({ length: 5 }, () => circuit.enter());
    const [last = 0] = five;
    circuit.busy(last, 0);
    for (const generation of five) circuit.leave(generation);
    assert.equal(circuit.limit, 4);
    clock = 2999;
    together(1, work);
    assert.equal(circuit.limit, 4);
    clock = 3000;
    together(1, work);
    assert.equal(circuit.limit, 5);
  });

  it("leaves it alone while it takes none at all, then asks with one", () => {
    together(3, (generation) => circuit.busy(generation, 0));
    assert.equal(circuit.room, 0);
    assert.equal(circuit.state, "busy");
    clock = 1001;
    assert.equal(circuit.room, 1);
  });

  it("leaves it alone for as long as it asked for, within reason", () => {
    circuit.enter();
    together(1, (generation) => circuit.busy(generation, 5000));
    clock = 4999;
    assert.equal(circuit.room, 0, "although it works on another one");
    clock = 5000;
    assert.equal(circuit.limit, 1);
    together(1, (generation) => circuit.busy(generation, 3_600_000));
    clock = 65_000;
    assert.equal(circuit.limit, 1);
  });
});
