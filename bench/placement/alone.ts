/** One model alone on its server: the cost of placement without competing models. */
import { USUAL_ENGINE, usualModels } from "../engine/spec.ts";
import type { LegContext } from "../legs.ts";
import { Load } from "./load.ts";
import { tally } from "./tally.ts";
import { closedClients } from "./traffic.ts";
import { machineCpuSeconds, ownCpuSeconds } from "../procfs.ts";
import { startWay } from "./ways.ts";
import type { Way } from "./ways.ts";

/** Ways that are compared. */
export type AloneWay = "first come" | "placed";

/** One round on one way. */
export interface AloneRound {
  readonly way: AloneWay;
  readonly round: number;
  /** Answers per second for 12 clients. */
  readonly rate: number;
  /** Median time to the first token for one client, ms. */
  readonly firstMs: number;
  /** CPUs that were busy with other work than this way and its load. */
  readonly others: number;
}

/**
 * Answers of some 32 ms, four at once: short, so that what lies between two answers counts. The server has other models
 * on disk, as most have, and nothing asks for them.
 */
const MODELS = usualModels(3, { tokenMs: 4, tokens: 8, loadMs: 200 });
const ENGINE = { ...USUAL_ENGINE, models: MODELS };
const ASK = { model: MODELS[0]?.name ?? "", tokens: 8, promptTokens: 8 };
const CLIENTS = 12;
const WAYS: readonly AloneWay[] = ["first come", "placed"];

/** Rounds that take turns; the way that begins changes from round to round. A first, unmeasured one warms up. */
export async function aloneRounds(context: LegContext, quick: boolean): Promise<readonly AloneRound[]> {
  const ways: Way[] = [];
  for (const way of WAYS) ways.push(await startWay(way, context, ENGINE));
  const rounds: AloneRound[] = [];
  for (let round = 0; round <= (quick ? 2 : 5); round += 1) {
    for (const way of round % 2 === 0 ? ways : ways.toReversed()) {
      const measured = await oneRound(way, round, quick);
      if (round > 0) rounds.push(measured);
    }
  }
  await Promise.all(ways.map(async (way) => await way.stop()));
  return rounds;
}

async function oneRound(way: Way, round: number, quick: boolean): Promise<AloneRound> {
  const begin = performance.now();
  const otherBefore = otherCpuSeconds(way);
  const many = await figures(way, CLIENTS, quick ? 1500 : 2500);
  const one = await figures(way, 1, quick ? 1000 : 1500);
  const otherS = otherCpuSeconds(way) - otherBefore;
  return {
    way: way.name === "placed" ? "placed" : "first come",
    round,
    rate: many.answers / many.seconds,
    firstMs: one.waits.p50,
    others: Math.max(0, (otherS * 1000) / (performance.now() - begin)),
  };
}

/** CPU seconds so far of all but a way and this process, which is its load. */
function otherCpuSeconds({ pids }: Way): number {
  return [...pids, process.pid].reduce((left, pid) => left - ownCpuSeconds(pid), machineCpuSeconds());
}

async function figures(way: Way, clients: number, windowMs: number): Promise<ReturnType<typeof tally>> {
  const visits = await new Load(way.port).run(closedClients(clients, ASK), windowMs);
  return tally([ASK.model], visits, await way.counters(), windowMs / 1000);
}
