import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AttemptNote } from "../../src/core/attempt-note.ts";
import { Fault, faultFromRecord, faultToRecord } from "../../src/core/fault.ts";
import type { FaultCode } from "../../src/core/fault.ts";
import { Attempt } from "../../src/worker/attempt.ts";
import { blamed, strengthOf } from "../../src/worker/blame.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { judge, judgeLoad } from "../../src/worker/place.ts";
import { returnReasonOf } from "../../src/worker/returner.ts";
import type { Station } from "../../src/worker/station.ts";
import { idleStation } from "./station-rig.ts";

const HERE = { worker: "w1", backend: "idle" };
const ELSEWHERE: AttemptNote = {
  worker: "w2",
  backend: "idle",
  code: "backend_error",
  cause: "backend",
  http: 500,
  asked: true,
};

interface Asked {
  readonly client?: string;
  readonly earlier?: readonly AttemptNote[];
  /** False when no connection came about. */
  readonly sent?: boolean;
}

function attemptOf({ client = "aaaaaa", earlier = [], sent = true }: Asked = {}): Attempt {
  const outbox = new Outbox({
    task: "g.1",
    attempt: 1,
    worker: "w1",
    stream: true,
    ready: () => {},
    mono: () => 0,
  });
  if (sent) outbox.pulse.sent();
  const envelope = { id: "g.1", endpoint: "openai-chat", client } as ConstructorParameters<
    typeof Attempt
  >[0]["envelope"];
  const rest = { startedAt: 0, endsAt: 1000, deliveries: 1, ordinal: 1, earlier };
  return new Attempt({ envelope, model: "tiny", entry: "1-0", outbox, ...rest });
}

function broken(http = 500): Fault {
  return new Fault("backend_error", "no", { http });
}

/** Lets attempts fail one after the other, each with its client, and gives the state of the circuit after each. */
function fail(station: Station, clients: readonly string[], fault: Fault): string[] {
  return clients.map((client) => {
    const visit = station.occupy("tiny");
    judge({ station, visit }, attemptOf({ client }), fault);
    station.release(visit);
    return station.gateOf("tiny").state;
  });
}

/** A station whose worker is asked what failures prove. */
function judged(): { readonly station: Station; readonly doubts: string[] } {
  const doubts: string[] = [];
  const judgement = {
    doubt: (_station: Station, model: string, endpoint?: string) =>
      void doubts.push(`${model} ${endpoint ?? ""}`),
    probe: () => {},
    mayEject: () => true,
  };
  return { station: idleStation(4, { judgement }), doubts };
}

describe("a failure", () => {
  it("has a cause by its code, and by a backend's status", () => {
    const causes: readonly (readonly [FaultCode, number | undefined, string])[] = [
      ["bad_json", undefined, "request"],
      ["unauthorized", undefined, "client"],
      ["cancelled", undefined, "client"],
      ["backend_error", 400, "request"],
      ["backend_error", 401, "backend"],
      ["backend_error", 500, "backend"],
      ["backend_error", 501, "request"],
      ["redis_down", undefined, "redis"],
      ["worker_lost", undefined, "worker"],
      ["overloaded", undefined, "gateway"],
    ];
    for (const [code, http, cause] of causes) {
      const fault = new Fault(code, "no", http === undefined ? {} : { http });
      assert.equal(fault.blame, cause, `${code} ${http}`);
    }
  });

  it("travels with its cause when that is not the usual one, and a reader that knows none tells the usual one", () => {
    const own = new Fault("first_token_timeout", "late", { blame: "client" });
    assert.deepEqual(faultToRecord(own).cause, "client");
    assert.equal(faultFromRecord(faultToRecord(own)).blame, "client");
    assert.equal(faultToRecord(broken()).cause, undefined);
    const odd = { ...faultToRecord(broken()), cause: "the moon" as "client" };
    assert.equal(faultFromRecord(odd).blame, "backend");
  });

  it("of the client or the request is final, and says nothing of the backend", () => {
    for (const blame of ["client", "request"] as const) {
      for (const code of ["first_token_timeout", "connect_timeout", "idle_timeout"] as const) {
        const fault = new Fault(code, "late", { blame });
        assert.equal(returnReasonOf(fault), undefined);
        assert.equal(strengthOf(fault, true), undefined);
      }
    }
  });

  it("is the request's when another backend has failed with it before, and both had it", () => {
    const again = attemptOf({ earlier: [ELSEWHERE] });
    assert.equal(blamed(broken(), again, HERE, false).blame, "request");
    assert.equal(blamed(broken(), again, HERE, true).blame, "backend", "this one is known to be broken");
    const same = attemptOf({ earlier: [{ ...ELSEWHERE, ...HERE }] });
    assert.equal(blamed(broken(), same, HERE, false).blame, "backend", "one backend alone proves nothing");
    const unsent = attemptOf({ earlier: [{ ...ELSEWHERE, asked: undefined }] });
    assert.equal(blamed(broken(), unsent, HERE, false).blame, "backend", "the other never had it");
    const refused = attemptOf({ earlier: [ELSEWHERE], sent: false });
    const unreachable = new Fault("backend_unreachable", "no");
    assert.equal(blamed(unreachable, refused, HERE, false).blame, "backend");
  });

  it("of this process is the worker's", () => {
    assert.equal(blamed(new Fault("internal", "a bug"), attemptOf(), HERE, false).blame, "worker");
  });
});

describe("the circuit of a backend", () => {
  it("stays closed whatever one client's requests meet, and its worker asks by itself, once", () => {
    const { station, doubts } = judged();
    const states = fail(station, Array<string>(20).fill("aaaaaa"), broken());
    assert.deepEqual(new Set(states), new Set(["closed"]));
    assert.deepEqual(doubts, ["tiny openai-chat"]);
  });

  it("opens when five in a row are of two clients", () => {
    const { station, doubts } = judged();
    const states = fail(station, ["aaaaaa", "aaaaaa", "bbbbbb", "aaaaaa", "aaaaaa"], broken());
    assert.deepEqual(states, ["closed", "closed", "closed", "closed", "open"]);
    assert.deepEqual(doubts, []);
  });

  it("opens when no connection can be made, whichever client asked", () => {
    const { station } = judged();
    const states = fail(station, Array<string>(5).fill("aaaaaa"), new Fault("connect_timeout", "no"));
    assert.equal(states.at(-1), "open");
  });

  it("is not opened by what cannot be read, of however many clients", () => {
    const { station, doubts } = judged();
    const unread = new Fault("backend_lost", "no JSON", { blame: "request" });
    const states = fail(station, ["aaaaaa", "bbbbbb", "cccccc", "dddddd", "eeeeee", "ffffff"], unread);
    assert.deepEqual(new Set(states), new Set(["closed"]));
    assert.equal(doubts.length, 1, "a backend that says nothing sound to anybody is asked");
  });

  it("opens when the worker's own request fails, and stays closed when that is answered", () => {
    const { station } = judged();
    const gate = station.gateOf("tiny");
    fail(station, Array<string>(5).fill("aaaaaa"), broken());
    gate.ownWorked(gate.era, 4);
    assert.equal(gate.state, "closed");
    fail(station, Array<string>(5).fill("aaaaaa"), broken());
    gate.failed(gate.era, { strength: "own" });
    assert.equal(gate.state, "open");
  });
});

/** True when a failure puts the load of its model into doubt. */
function doubted(fault: Fault, asked: Asked = {}, isGone = false): boolean {
  const station = idleStation(1);
  let broke = false;
  station.broke = () => {
    broke = true;
  };
  const attempt = attemptOf(asked);
  if (isGone) attempt.stop("gone");
  judgeLoad({ station, visit: station.occupy("tiny") }, attempt, fault);
  return broke;
}

it("the load of a model is in doubt when its task was sent, and neither answered nor refused", () => {
  const busy = new Fault("backend_busy", "loading");
  const refused = broken(400);
  const late = new Fault("first_token_timeout", "late", { blame: "client" });
  assert.deepEqual(
    [broken(), busy, late].map((fault) => doubted(fault)),
    [true, true, true],
  );
  assert.deepEqual([doubted(refused), doubted(broken(), { sent: false })], [false, false]);
  assert.deepEqual([doubted(refused, {}, true), doubted(refused, { sent: false }, true)], [true, false]);
});
