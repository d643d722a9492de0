import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AttemptTimer } from "../../src/worker/attempt-timer.ts";

const LIMITS = { queueUntil: 0, connectMs: 10, firstTokenMs: 100, idleMs: 50 };

interface Rig {
  /** Ms. */
  at: number;
  readonly clock: AttemptTimer;
  readonly code: () => string | undefined;
}

function clockAt(stream: boolean): Rig {
  const rig: Rig = {
    at: 1000,
    clock: new AttemptTimer({ awake: () => rig.at, stream }),
    code: () => rig.clock.check(LIMITS)?.code,
  };
  return rig;
}

describe("the clock of an attempt", () => {
  it("does not run before the backend is asked", () => {
    const rig = clockAt(true);
    rig.at += 1e9;
    assert.equal(rig.code(), undefined);
  });

  it("knows each wait, from its own beginning", () => {
    const rig = clockAt(true);
    rig.clock.connecting();
    rig.at += 9;
    assert.equal(rig.code(), undefined);
    rig.clock.sent();
    rig.at += 99;
    assert.equal(rig.code(), undefined);
    rig.clock.alive();
    assert.equal(rig.code(), undefined);
    rig.at += 49;
    assert.equal(rig.code(), undefined);
    rig.clock.alive();
    assert.equal(rig.code(), undefined);
    rig.at += 49;
    assert.equal(rig.code(), undefined);
    rig.at += 1;
    assert.equal(rig.code(), "idle_timeout");
  });

  it("ends a connection or a first token that does not come", () => {
    const rig = clockAt(true);
    rig.clock.connecting();
    rig.at += 10;
    assert.equal(rig.code(), "connect_timeout");
    rig.clock.sent();
    rig.at += 100;
    assert.equal(rig.code(), "first_token_timeout");
  });

  it("reports the first piece once, and no pause as a piece", () => {
    const rig = clockAt(true);
    let pieces = 0;
    rig.clock.onFirstPiece(() => (pieces += 1));
    rig.clock.sent();
    rig.clock.extend();
    assert.equal(pieces, 0);
    rig.clock.alive();
    rig.clock.alive();
    assert.equal(pieces, 1);
  });

  it("waits for no piece of a whole answer, only for the connection", () => {
    const rig = clockAt(false);
    rig.clock.sent();
    rig.at += 1e9;
    assert.equal(rig.code(), undefined);
    rig.clock.alive();
    assert.equal(rig.code(), undefined);
    rig.at += 1e9;
    assert.equal(rig.code(), undefined, "one of several answers is there, the others are made");
    rig.clock.connecting();
    rig.at += 10;
    assert.equal(rig.code(), "connect_timeout");
  });

  it("takes a second request of a run for a new wait", () => {
    const rig = clockAt(true);
    rig.clock.sent();
    rig.clock.alive();
    rig.clock.connecting();
    rig.at += 9;
    assert.equal(rig.code(), undefined);
    rig.at += 1;
    assert.equal(rig.code(), "connect_timeout");
  });

  it("has no limit where it is 0", () => {
    const rig = clockAt(true);
    const none = { queueUntil: 0, connectMs: 0, firstTokenMs: 0, idleMs: 0 };
    for (const step of ["connecting", "sent", "alive"] as const) {
      rig.clock[step]();
      rig.clock.check(none);
      rig.at += 1e9;
      assert.equal(rig.clock.check(none), undefined, step);
    }
  });

  it("puts a limit that is the client's own down to the client, and the fleet's to the backend", () => {
    const rig = clockAt(true);
    const blameOf = (own: readonly ("connect" | "firstToken" | "idle")[]): string | undefined =>
      rig.clock.check({ ...LIMITS, own })?.blame;
    rig.clock.connecting();
    rig.at += 10;
    assert.deepEqual(
      [blameOf([]), blameOf(["idle"]), blameOf(["connect"])],
      ["backend", "backend", "client"],
    );
    rig.clock.sent();
    rig.at += 100;
    assert.deepEqual([blameOf(["connect"]), blameOf(["firstToken"])], ["backend", "client"]);
    rig.clock.alive();
    blameOf([]);
    rig.at += 50;
    assert.deepEqual([blameOf(["firstToken"]), blameOf(["idle"])], ["backend", "client"]);
  });
});
