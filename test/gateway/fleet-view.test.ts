import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type {
  BackendAnnouncement,
  GatewayAnnouncement,
  QueueReading,
  WorkerAnnouncement,
} from "../../src/core/fleet.ts";
import { viewFleet } from "../../src/gateway/monitor/fleet-view.ts";
import type { FleetView } from "../../src/gateway/monitor/fleet-view.ts";
import type { ModelCard } from "../../src/core/model.ts";
import { RecentFaults } from "../../src/core/recent-faults.ts";
import { isSummary } from "../../src/core/summary.ts";
import type { TaskSummary } from "../../src/core/summary.ts";

const NOW = 1_000_000;

function card(key: string, resident: boolean): ModelCard {
  return { key, name: `${key}:latest`, resident } as ModelCard;
}

function backend(options: Partial<BackendAnnouncement> = {}): BackendAnnouncement {
  const models = [card("tiny", true), card("big", false)];
  return { name: "ollama@a", kind: "ollama", url: "", slots: 4, busy: 1, healthy: true, models, ...options };
}

function worker(options: Partial<WorkerAnnouncement> = {}): WorkerAnnouncement {
  const process = { version: "1", host: "one", pid: 1, startedAt: 0, seenAt: NOW - 1000 };
  return { ...process, id: "w1", draining: false, backends: [backend()], ...options };
}

function queue(options: Partial<QueueReading> = {}): QueueReading {
  return {
    model: "tiny",
    waiting: 0,
    oldestWaitMs: 0,
    claimed: 0,
    oldestIdleMs: 0,
    deadLetters: 0,
    ...options,
  };
}

function gateway(tokensPerSecond: Record<string, number> | undefined): GatewayAnnouncement {
  const process = { version: "1", host: "one", pid: 1, startedAt: 0, seenAt: NOW };
  return {
    ...process,
    tag: "g1",
    port: 1,
    open: 2,
    ...(tokensPerSecond === undefined ? {} : { tokensPerSecond }),
  };
}

function view(workers: readonly WorkerAnnouncement[], models: readonly QueueReading[]): FleetView {
  return viewFleet({ gateways: [], workers, models, now: NOW });
}

describe("the view of the fleet", () => {
  it("sums up what processes and queues tell, older gateways included", () => {
    const fleet = viewFleet({
      gateways: [gateway({ tiny: 10, big: 1.5 }), gateway({ tiny: 2 }), gateway(undefined)],
      workers: [worker({ id: "w2", host: "two" }), worker()],
      models: [queue({ claimed: 2, waiting: 3 }), queue({ model: "big" })],
      now: NOW,
    });
    assert.deepEqual(fleet.totals, {
      gateways: 3,
      nodes: 2,
      backends: 2,
      slots: 8,
      busy: 2,
      finishing: 0,
      waiting: 3,
      claimed: 2,
      deadLetters: 0,
      tokensPerSecond: 13.5,
    });
    assert.deepEqual(
      fleet.models.map((one) => [
        one.model,
        one.tokensPerSecond,
        one.slots,
        one.nodes,
        one.resident,
        one.backends,
      ]),
      [
        ["tiny", 12, 8, ["one", "two"], 2, 2],
        ["big", 1.5, 8, ["one", "two"], 0, 2],
      ],
    );
    assert.deepEqual(
      fleet.nodes.map(({ host, backends }) => [host, backends[0]?.resident]),
      [
        ["one", ["tiny:latest"]],
        ["two", ["tiny:latest"]],
      ],
    );
    assert.deepEqual(fleet.problems, []);
  });

  it("counts the slots of backends that take tasks, and apart what the others still run", () => {
    const leaving = worker({ id: "w2", host: "two", draining: true, backends: [backend({ busy: 3 })] });
    const down = worker({
      id: "w3",
      host: "three",
      backends: [backend({ healthy: false, busy: 2, models: [] })],
    });
    const { totals, models, problems } = view([worker(), leaving, down], [queue()]);
    assert.deepEqual([totals.busy, totals.slots, totals.finishing, totals.backends], [1, 4, 5, 3]);
    assert.deepEqual([models[0]?.slots, models[0]?.nodes, models[0]?.backends], [4, ["one"], 1]);
    assert.equal(problems.length, 2);
    const last = view([leaving], [queue({ waiting: 1 })]);
    assert.match(last.problems[0] ?? "", /^1 wait for tiny, which no node offers now/);
  });

  it("says in a sentence what is wrong", () => {
    const problems: readonly (readonly [FleetView, RegExp])[] = [
      [view([], []), /^No worker is there/],
      [view([worker({ backends: [] })], [queue({ waiting: 2 })]), /^2 wait for tiny, which no node offers/],
      [
        view([worker({ backends: [backend({ healthy: false, models: [] })] })], []),
        /^Backend ollama@a of one is down/,
      ],
      [
        view([worker({ backends: [backend({ gates: [{ model: "tiny", state: "open" }] })] })], []),
        /^Backend ollama@a of one fails with tiny/,
      ],
      [view([worker({ seenAt: NOW - 9000 })], []), /^one has been silent for 9 s/],
      [view([worker()], [queue({ waiting: 1, oldestWaitMs: 31_000 })]), /^tiny is behind.* 31 s/],
      [view([worker()], [queue({ deadLetters: 1 })]), /^1 dead letter of tiny: see sgnet dead list/],
      [view([worker({ draining: true })], []), /^one finishes its work/],
    ];
    for (const [fleet, pattern] of problems) {
      assert.equal(fleet.problems.length, 1);
      assert.match(fleet.problems[0] ?? "", pattern);
    }
  });

  it("is not fooled by a model with the name of a member of objects", () => {
    const rates: Record<string, number> = JSON.parse('{"__proto__":5}');
    const models = [queue({ model: "__proto__" })];
    const fleet = viewFleet({ gateways: [gateway(rates)], workers: [worker()], models, now: NOW });
    assert.equal(fleet.models[0]?.tokensPerSecond, 5);
  });
});

function summary(code: string, at: number): TaskSummary {
  const ids = { task: "g.1", request: "r", endpoint: "openai-chat", model: "tiny" };
  return { ...ids, at, code, status: 500, totalMs: 10 };
}

describe("recent faults", () => {
  it("are counted by code, the newest told first, and forgotten after ten minutes", () => {
    const faults = new RecentFaults();
    faults.add([summary("internal", 0), summary("ok", 1), summary("cancelled", 2)]);
    faults.add([summary("backend_lost", 400_000), summary("backend_lost", 500_000)]);
    const early = faults.view(500_010);
    assert.deepEqual(early.counts, [
      ["backend_lost", 2],
      ["internal", 1],
    ]);
    assert.deepEqual(
      early.latest.map(({ at }) => at),
      [500_000, 400_000, 0],
    );
    assert.deepEqual(faults.view(700_000).counts, [["backend_lost", 2]]);
    assert.deepEqual(faults.view(5_000_000).counts, []);
  });

  it("are bounded", () => {
    const faults = new RecentFaults();
    faults.add(Array.from({ length: 5000 }, () => summary("internal", 0)));
    assert.deepEqual(faults.view(0).counts, [["internal", 1000]]);
  });

  it("are read from summaries only", () => {
    assert.equal(isSummary({ ...summary("ok", 1) }), true);
    assert.equal(isSummary({ ...summary("ok", 1), at: "now" }), false);
    assert.equal(isSummary(null), false);
  });
});
