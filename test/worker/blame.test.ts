import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AttemptNote } from "../../src/core/attempt-note.ts";
import { Fault, faultFromRecord, faultToRecord } from "../../src/core/fault.ts";
import type { FaultCode } from "../../src/core/fault.ts";
import { Attempt } from "../../src/worker/attempt.ts";
import { blamed, judgeBackend, judgeLoad, strengthOf } from "../../src/worker/blame.ts";
import { Outbox } from "../../src/worker/outbox.ts";
import { requeueReasonOf } from "../../src/worker/requeuer.ts";
import type { BackendSlots } from "../../src/worker/backend-slots.ts";
import { idleBackendSlots } from "./idle-backend.ts";

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
    ambient: { mono: () => 0 },
  });
  if (sent) outbox.progress.sent();
  const envelope = { id: "g.1", endpoint: "openai-chat", client } as ConstructorParameters<
    typeof Attempt
  >[0]["envelope"];
  const times = { startedAt: 0, endsAt: 1000 };
  const delivery = { deliveries: 1, ordinal: 1, attempt: 1, earlier };
  return new Attempt({ envelope, queued: { model: "tiny", entry: "1-0" }, outbox, times, delivery });
}

function broken(http = 500): Fault {
  return new Fault("backend_error", "no", { http });
}

/** Lets attempts fail one after the other, each with its client, and gives the state of the circuit after each. */
function fail(backendSlots: BackendSlots, clients: readonly string[], fault: Fault): string[] {
  return clients.map((client) => {
    const lease = backendSlots.occupy("tiny");
    judgeBackend(lease, attemptOf({ client }), fault);
    lease.release();
    return backendSlots.circuits.of("tiny").state;
  });
}

/** A backend whose worker is asked what failures prove. */
function judged(): { readonly backendSlots: BackendSlots; readonly asked: string[] } {
  const asked: string[] = [];
  const judge = {
    testBackend: (model: string, endpoint?: string) => void asked.push(`${model} ${endpoint ?? ""}`),
    probe: () => {},
    mayOpen: () => true,
  };
  return { backendSlots: idleBackendSlots(4, { judgeOf: () => judge }), asked };
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

  it("travels with a cause that is not the usual one, and a reader without it assumes the usual one", () => {
    const own = new Fault("first_token_timeout", "late", { blame: "client" });
    assert.deepEqual(faultToRecord(own).cause, "client");
    assert.equal(faultFromRecord(faultToRecord(own)).blame, "client");
    assert.equal(faultToRecord(broken()).cause, undefined);
    const odd = { ...faultToRecord(broken()), cause: "the moon" as "client" };
    assert.equal(faultFromRecord(odd).blame, "backend");
  });

  it("that the client or the request caused is final, and says nothing of the backend", () => {
    for (const blame of ["client", "request"] as const) {
      for (const code of ["first_token_timeout", "connect_timeout", "idle_timeout"] as const) {
        const fault = new Fault(code, "late", { blame });
        assert.equal(requeueReasonOf(fault), undefined);
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

  it("that is a bug of this process is the worker's", () => {
    assert.equal(blamed(new Fault("internal", "a bug"), attemptOf(), HERE, false).blame, "worker");
  });
});

describe("the circuit of a backend", () => {
  it("stays closed whatever one client's requests meet, and its worker asks by itself, once", () => {
    const { backendSlots, asked } = judged();
    const states = fail(backendSlots, Array<string>(20).fill("aaaaaa"), broken());
    assert.deepEqual(new Set(states), new Set(["closed"]));
    assert.deepEqual(asked, ["tiny openai-chat"]);
  });

  it("opens when five in a row are of two clients", () => {
    const { backendSlots, asked } = judged();
    const states = fail(backendSlots, ["aaaaaa", "aaaaaa", "bbbbbb", "aaaaaa", "aaaaaa"], broken());
    assert.deepEqual(states, ["closed", "closed", "closed", "closed", "open"]);
    assert.deepEqual(asked, []);
  });

  it("opens when no connection can be made, whichever client asked", () => {
    const { backendSlots } = judged();
    const states = fail(backendSlots, Array<string>(5).fill("aaaaaa"), new Fault("connect_timeout", "no"));
    assert.equal(states.at(-1), "open");
  });

  it("is not opened by what cannot be read, of however many clients", () => {
    const { backendSlots, asked } = judged();
    const unread = new Fault("backend_lost", "no JSON", { blame: "request" });
    const states = fail(backendSlots, ["aaaaaa", "bbbbbb", "cccccc", "dddddd", "eeeeee", "ffffff"], unread);
    assert.deepEqual(new Set(states), new Set(["closed"]));
    assert.equal(asked.length, 1, "a backend that says nothing sound to anybody is asked");
  });

  it("opens when the worker's own request fails, and stays closed when that is answered", () => {
    const { backendSlots } = judged();
    const circuit = backendSlots.circuits.of("tiny");
    fail(backendSlots, Array<string>(5).fill("aaaaaa"), broken());
    circuit.ownSucceeded(circuit.generation, 4);
    assert.equal(circuit.state, "closed");
    fail(backendSlots, Array<string>(5).fill("aaaaaa"), broken());
    circuit.failed(circuit.generation, { strength: "own" });
    assert.equal(circuit.state, "open");
  });
});

/** True when a failure may have stopped the load of its model. */
function mayHaveStopped(fault: Fault, asked: Asked = {}, isGone = false): boolean {
  const backendSlots = idleBackendSlots(1);
  let broke = false;
  const lease = backendSlots.occupy("tiny");
  lease.loadFailed = () => {
    broke = true;
  };
  const attempt = attemptOf(asked);
  if (isGone) attempt.stop("gone");
  judgeLoad(lease, attempt, fault);
  return broke;
}

it("the load of a model may have stopped when its task was sent, and neither answered nor refused", () => {
  const busy = new Fault("backend_busy", "loading");
  const refused = broken(400);
  const late = new Fault("first_token_timeout", "late", { blame: "client" });
  assert.deepEqual(
    [broken(), busy, late].map((fault) => mayHaveStopped(fault)),
    [true, true, true],
  );
  assert.deepEqual([mayHaveStopped(refused), mayHaveStopped(broken(), { sent: false })], [false, false]);
  assert.deepEqual(
    [mayHaveStopped(refused, {}, true), mayHaveStopped(refused, { sent: false }, true)],
    [true, false],
  );
});
