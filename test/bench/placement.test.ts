import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { newCounters } from "../../bench/engine/counters.ts";
import { engineServer } from "../../bench/engine/http.ts";
import { USUAL_ENGINE, usualModels } from "../../bench/engine/spec.ts";
import type { AloneRound } from "../../bench/placement/alone.ts";
import { longestWaitMs, rareWaitMs, residencyMs, swapWaitMs } from "../../bench/placement/bounds.ts";
import { Load } from "../../bench/placement/load.ts";
import type { RequestRecord } from "../../bench/placement/load.ts";
import { readPlacementOptions } from "../../bench/placement/options.ts";
import { renderAlone, renderResults, renderVerdicts } from "../../bench/placement/report.ts";
import { tally } from "../../bench/placement/tally.ts";
import type { Tally, Waits } from "../../bench/placement/tally.ts";
import { readTrace } from "../../bench/placement/trace.ts";
import { closedClients, seededRandom, steadyArrivals, zipfRank } from "../../bench/placement/traffic.ts";
import type { PlannedRequest, Source } from "../../bench/placement/traffic.ts";
import { aloneVerdicts, broken, verdictsOf } from "../../bench/placement/verdicts.ts";
import type { WorkloadResult } from "../../bench/placement/verdicts.ts";
import { workloads } from "../../bench/placement/workloads.ts";

interface Figures {
  readonly answers?: Readonly<Record<string, number>>;
  readonly loads?: number;
  /** Longest waits, s. */
  readonly waits?: Readonly<Record<string, number>>;
  readonly requests?: Readonly<Record<string, number>>;
  readonly errors?: Readonly<Record<string, number>>;
}

const MODELS = ["a", "b"];

function wait(maxS: number, count = 10): Waits {
  return { count, p50: 0, p99: 0, max: maxS * 1000 };
}

function figures({ answers = {}, loads = 1, waits = {}, requests = {}, errors = {} }: Figures): Tally {
  const waitsByModel = Object.fromEntries(
    MODELS.map((model) => [model, wait(waits[model] ?? 0, requests[model] ?? 10)]),
  );
  return {
    seconds: 30,
    answers: Object.values(answers).reduce((sum, count) => sum + count, 0),
    answersByModel: answers,
    loads,
    waits: wait(Math.max(0, ...Object.values(waits))),
    waitsByModel,
    errors,
    open: 0,
    counters: newCounters(),
  };
}

function result(name: string, legs: Readonly<Record<string, Figures>>): WorkloadResult {
  const tallies = Object.entries(legs).map(([leg, its]) => [leg, figures(its)] as const);
  return { name, title: name, loadMs: 1000, models: 2, places: 1, legs: Object.fromEntries(tallies) };
}

/** Claims that do not hold. */
function failing(its: WorkloadResult): readonly string[] {
  return broken(verdictsOf(its)).map(({ claim }) => claim);
}

const rounds = (
  rates: readonly (readonly [number, number])[],
  firstMs = 10,
  others = 0,
): readonly AloneRound[] =>
  rates.flatMap(([firstCome, placedRate], round) => [
    { way: "first come" as const, round, rate: firstCome, firstMs: 10, others: 0 },
    { way: "placed" as const, round, rate: placedRate, firstMs, others },
  ]);

const visit = (change: Partial<RequestRecord>): RequestRecord => ({
  model: "a",
  sentMs: 0,
  firstMs: 10,
  endMs: 20,
  outcome: "answered",
  ...change,
});

/** An engine for one test, ten times as quick. */
const listening = async (test: TestContext): Promise<number> => {
  const spec = { ...USUAL_ENGINE, models: usualModels(2), memory: 9e9 };
  const served = engineServer(spec, 10);
  test.after(() => served.stop());
  served.server.listen(0, "127.0.0.1");
  await once(served.server, "listening");
  return (served.server.address() as AddressInfo).port;
};

/** A client with these requests and no more. */
const asking = (...asks: readonly PlannedRequest[]): Source => ({
  kind: "closed",
  next: (index) => asks[index],
});

const DIRECT: Figures = { answers: { a: 108, b: 108 }, loads: 18, waits: { a: 3.9, b: 3.9 } };

describe("the bounds of the policy", () => {
  for (const [loadMs, waitMs, stayMs] of [
    [0, 2000, 2000],
    [400, 2000, 2000],
    [1000, 4000, 2000],
    [3000, 12_000, 6000],
    [60_000, 60_000, 120_000],
  ] as const) {
    it(`are a wait of ${waitMs} ms and a residency of ${stayMs} ms for loads of ${loadMs} ms`, () => {
      assert.deepEqual([swapWaitMs(loadMs), residencyMs(loadMs)], [waitMs, stayMs]);
    });
  }

  it("bound the longest wait by models and places", () => {
    assert.equal(longestWaitMs(1000, 2, 1), 10_000);
    assert.equal(longestWaitMs(1000, 4, 2), 10_000);
    assert.equal(rareWaitMs(1000), 7000);
  });
});

describe("the verdicts", () => {
  const placed: Figures = { answers: { a: 160, b: 160 }, loads: 10, waits: { a: 5, b: 6.4 } };

  it("hold for what the design's prototype did", () => {
    assert.deepEqual(failing(result("p1", { direct: DIRECT, "first come": DIRECT, placed })), []);
  });

  for (const [change, claim] of [
    [{ answers: { a: 160, b: 99 } }, "answers ÷ direct's"],
    [{ loads: 11 }, "loads ÷ direct's"],
    [{ waits: { a: 5, b: 10.1 } }, "longest wait, s"],
    [{ errors: { status: 1 } }, "failed requests through gateways"],
  ] as const) {
    it(`fail two models by ${claim}`, () => {
      const its = result("p1", { direct: DIRECT, placed: { ...placed, ...change } });
      assert.deepEqual(failing(its), [claim]);
    });
  }

  it("judge the rare model by its own longest wait, and the busy one by what it does alone", () => {
    const busy = { answers: { a: 340, b: 9 }, waits: { a: 9, b: 6.9 }, requests: { a: 340, b: 10 } };
    const alone = { answers: { a: 370 } };
    const p2 = (placedFigures: Figures): WorkloadResult =>
      result("p2-short", { placed: placedFigures, "busy alone": alone });
    assert.deepEqual(failing(p2(busy)), []);
    const late = { ...busy, waits: { a: 1, b: 7.1 } };
    const slow = { ...busy, answers: { a: 330, b: 9 } };
    assert.deepEqual(failing(p2(late)), ["longest wait of the rare model, s"]);
    assert.deepEqual(failing(p2(slow)), ["busy model's answers ÷ alone"]);
  });

  it("only tell what the busy one keeps where the rare one's bound does not leave it so much", () => {
    const its = { answers: { a: 200, b: 9 }, waits: { a: 9, b: 8 }, requests: { a: 200, b: 10 } };
    const verdicts = verdictsOf(result("p2", { placed: its, "busy alone": { answers: { a: 370 } } }));
    assert.deepEqual(
      verdicts.map(({ holds, judged }) => [holds, judged]),
      [
        [false, true],
        [false, false],
        [true, true],
      ],
    );
  });

  it("allow one reload for differing options", () => {
    assert.deepEqual(failing(result("p5", { placed: { loads: 2 } })), []);
    assert.deepEqual(failing(result("p5", { placed: { loads: 3 } })), ["reloads"]);
  });

  it("judge five models by answers alone, and tell the rest", () => {
    const slow = { answers: { a: 50 }, waits: { a: 11 } };
    const its = verdictsOf(result("p3", { direct: DIRECT, placed: slow }));
    assert.deepEqual(
      its.map(({ holds, judged }) => [holds, judged]),
      [
        [false, true],
        [false, false],
        [true, true],
      ],
    );
  });

  it("compare with the better of two direct ways", () => {
    const better = { answers: { a: 270, b: 0 } };
    const its = result("p3", { direct: DIRECT, "direct, overtaking": better, placed });
    assert.deepEqual(failing(its), ["answers ÷ direct's"]);
  });

  it("do not count what fails directly against the gateway, but what fails through it first come", () => {
    const broke = { ...DIRECT, errors: { status: 3 } };
    assert.deepEqual(failing(result("p1", { direct: broke, placed })), []);
    assert.deepEqual(failing(result("p1", { direct: DIRECT, "first come": broke, placed })), [
      "failed requests through gateways",
    ]);
  });

  it("do not hold for a leg that is missing", () => {
    assert.deepEqual(failing(result("p1", { direct: DIRECT })), [
      "answers ÷ direct's",
      "loads ÷ direct's",
      "longest wait, s",
    ]);
  });

  it("compare one model alone by the median of paired rounds", () => {
    const even = rounds([
      [100, 99],
      [100, 60],
      [100, 101],
    ]);
    assert.deepEqual(broken(aloneVerdicts(even)), []);
    const slower = rounds([
      [100, 96],
      [50, 48],
      [100, 101],
    ]);
    assert.deepEqual(
      broken(aloneVerdicts(slower)).map(({ claim }) => claim),
      ["requests/s ÷ first come's"],
    );
    assert.deepEqual(
      broken(aloneVerdicts(rounds([[100, 100]], 10.4))).map(({ claim }) => claim),
      ["first token ÷ first come's"],
    );
  });

  it("judge one model alone by the rounds without other work, and not at all when there is none", () => {
    const disturbed = rounds([[100, 50]], 10, 0.6).map((its) => Object.assign({}, its, { round: 9 }));
    assert.deepEqual(broken(aloneVerdicts([...rounds([[100, 100]]), ...disturbed])), []);
    const told = aloneVerdicts(disturbed);
    assert.deepEqual(
      told.map(({ value, judged }) => [value, judged]),
      [
        [0.5, false],
        [1, false],
      ],
    );
  });
});

describe("the figures of a way", () => {
  it("count what is still waited for as a wait, and failures as none", () => {
    const visits = [
      visit({}),
      visit({ sentMs: 100, firstMs: 130 }),
      visit({ model: "b", sentMs: 5000, firstMs: undefined, endMs: 30_000, outcome: "open" }),
      visit({ sentMs: 0, firstMs: undefined, endMs: 29_000, outcome: "status" }),
    ];
    const its = tally(MODELS, visits, { ...newCounters(), loads: 3 }, 30);
    assert.deepEqual([its.answers, its.loads, its.open, its.errors], [2, 3, 1, { status: 1 }]);
    assert.deepEqual(its.answersByModel, { a: 2, b: 0 });
    assert.deepEqual(its.waitsByModel["a"], { count: 2, p50: 10, p99: 30, max: 30 });
    assert.equal(its.waits.max, 25_000);
  });

  it("are rendered, a row per way, a row per claim, a row per round", () => {
    const its = result("p1", { direct: DIRECT, placed: DIRECT });
    assert.equal(renderResults([its]).trimEnd().split("\n").length, 4);
    assert.match(
      renderVerdicts(verdictsOf(its)),
      /answers ÷ direct's *\| 1 *\| at least 1.20 \| does not hold/,
    );
    assert.match(
      renderAlone([{ way: "placed", round: 1, rate: 9.96, firstMs: 1, others: 0 }]),
      /placed *\| 10.0/,
    );
  });
});

describe("the workloads", () => {
  it("draw models by Zipf's law", () => {
    const random = seededRandom(1);
    const counts = [0, 0, 0];
    for (let draw = 0; draw < 11_000; draw += 1) {
      const rank = zipfRank(3, random());
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    // 1 : 1/2 : 1/3 of 11/6.
    for (const [rank, wanted] of [6000, 3000, 2000].entries()) {
      assert.ok(Math.abs((counts[rank] ?? 0) - wanted) < 200, counts.join());
    }
    assert.equal(zipfRank(3, 0), 0);
    assert.equal(zipfRank(3, 1 - 1e-12), 2);
  });

  it("are the same for each way", () => {
    for (const { legs } of workloads({ quick: true })) {
      const drawn = legs
        .filter(({ name }) => name !== "busy alone")
        .map(({ sources }) =>
          sources().map((source) =>
            source.kind === "closed" ? [0, 1, 2, 3, 4].map((index) => source.next(index)) : source.arrivals,
          ),
        );
      for (const one of drawn) assert.deepEqual(one, drawn[0]);
    }
  });

  it("ask for models that their engine has, and for none that does not fit", () => {
    for (const { engine, legs, places } of workloads({ quick: false })) {
      const names = new Set(engine.models.map(({ name }) => name));
      const asks = legs.flatMap(({ sources }) =>
        sources().flatMap((source) =>
          source.kind === "closed" ? [source.next(0)] : source.arrivals.map(({ ask }) => ask),
        ),
      );
      for (const ask of asks) assert.ok(ask !== undefined && names.has(ask.model));
      const bytes = engine.models[0]?.bytes ?? 0;
      assert.equal(Math.floor(engine.memory / bytes), places);
    }
  });

  it("take the arrivals of four public services", () => {
    const rows = readTrace();
    assert.equal(rows.length, 270);
    assert.equal(new Set(rows.map(({ service }) => service)).size, 4);
    for (const { ms, promptTokens, answerTokens } of rows) {
      assert.ok(ms >= 0 && promptTokens > 0 && answerTokens > 0);
    }
  });

  it("let a rare request come in the middle of each interval", () => {
    const { arrivals } = steadyArrivals({ model: "a", tokens: 1, promptTokens: 1 }, 3000, 9000);
    assert.deepEqual(
      arrivals.map(({ atMs }) => atMs),
      [1500, 4500, 7500],
    );
  });
});

describe("the load", () => {
  it("counts answers, and what is open at its end", async (test) => {
    const port = await listening(test);
    const short = { model: "sim-b", tokens: 3, promptTokens: 4, options: { num_ctx: 4096 } };
    const endless = { model: "sim-a", tokens: 100_000, promptTokens: 4 };
    const visits = await new Load(port).run([asking(short, short), ...closedClients(1, endless)], 1000);
    const of = (model: string): readonly string[] =>
      visits.filter((its) => its.model === model).map(({ outcome }) => outcome);
    assert.deepEqual([of("sim-b"), of("sim-a")], [["answered", "answered"], ["open"]]);
    for (const { sentMs, firstMs, endMs } of visits) {
      assert.ok(firstMs !== undefined && sentMs < firstMs && firstMs < endMs);
    }
  });

  it("ends early when nothing more is asked, and tells a reply that is no answer", async (test) => {
    const port = await listening(test);
    const begin = performance.now();
    const visits = await new Load(port).run([asking({ model: "nope", tokens: 1, promptTokens: 1 })], 60_000);
    assert.deepEqual(
      visits.map(({ outcome }) => outcome),
      ["status"],
    );
    assert.ok(performance.now() - begin < 30_000);
  });

  it("counts a late start of a timed request as a wait", async (test) => {
    const port = await listening(test);
    const arrivals = [0, 30].map((atMs) => ({ atMs, ask: { model: "sim-a", tokens: 1, promptTokens: 4 } }));
    const visits = await new Load(port).run([{ kind: "timed", arrivals }], 60_000);
    assert.deepEqual(
      visits.map(({ sentMs, outcome }) => [sentMs, outcome]),
      [
        [0, "answered"],
        [30, "answered"],
      ],
    );
  });
});

describe("the flags", () => {
  it("keep results of whole runs only", () => {
    assert.match(readPlacementOptions([]).out ?? "", /bench\/results$/);
    assert.equal(readPlacementOptions(["--quick"]).out, undefined);
    assert.equal(readPlacementOptions(["--only", "p1"]).out, undefined);
    assert.equal(readPlacementOptions(["--only", "p1,alone", "--out", "x"]).out, "x");
    assert.equal(readPlacementOptions(["--in-turn"]).inTurn, true);
  });

  it("name known workloads in a quick run", () => {
    const known = readPlacementOptions([]).only;
    const { only } = readPlacementOptions(["--quick"]);
    assert.ok(only.length > 0 && only.length < known.length);
    for (const name of only) assert.ok(known.includes(name), name);
  });

  it("refuse a workload that there is not", () => {
    assert.throws(() => readPlacementOptions(["--only", "p9"]), /--only takes a comma list of p1,/);
  });
});
