import { type Breach, judge } from "./checker.ts";
import { Clients } from "./clients.ts";
import { Dice } from "./dice.ts";
import { type FaultName, faultsOf, toolOf } from "./faults.ts";
import type { Asked, History } from "./history.ts";
import { Nemesis } from "./nemesis.ts";
import { sharingLeaks } from "./sharing-leaks.ts";
import { findTools } from "./tools.ts";
import { addCodes, lifeOf, storyOf } from "./story.ts";
import { type Topology, World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly clients: number;
  readonly topology?: Topology;
  /** Clients have keys with limits. */
  readonly keys?: boolean;
  /** Faults that may happen; all that the topology can have when empty. */
  readonly faults: readonly FaultName[];
  /** Told what happens as it happens. */
  readonly tell: (text: string) => void;
}

export interface Verdict {
  readonly history: History;
  readonly breaches: readonly Breach[];
  /** One for each of the first breaches. */
  readonly stories: readonly string[];
  /** The request that took longest of those whose clients neither left nor read slowly. */
  readonly longest: string;
}

/** When all is mended every open request ends within this, ms: leases, patience and presence included. */
const LAST_END_MS = 25_000;

/** When no request is open nothing of them is left after this, ms: the tasks of a killed gateway take longest. */
const LEAK_MS = 25_000;

const STORIES = 5;

/** Lets clients ask and a nemesis break things, both as the seed says, then judges what happened. */
export async function run(options: RunOptions): Promise<Verdict> {
  const dice = new Dice(options.seed);
  const { topology = "one" } = options;
  const world = await World.start(topology);
  const clients = new Clients(world, world.clientKeys);
  try {
    if (options.keys === true) await world.closeDoor();
    clients.start(options.clients, dice.fork());
    const { tell } = options;
    const faults = await possible(options.faults.length > 0 ? options.faults : faultsOf(topology), tell);
    const nemesis = new Nemesis({ world, dice: dice.fork(), faults, tell });
    await nemesis.rage(options.seconds * 1000);
    tell("all is mended");
    const history = await finish(world, clients, nemesis);
    const lines = world.logLines();
    addCodes(history.asked, lines);
    const breaches = judge(history);
    const stories = breaches.slice(0, STORIES).map((breach) => storyOf(breach, history, lines));
    const slowest = longestOf(history);
    const longest = slowest === undefined ? "" : lifeOf(slowest, history, lines);
    return { history, breaches, stories, longest };
  } finally {
    await world.stop();
    await clients.stop(LAST_END_MS);
  }
}

/** The faults that this machine can produce. The others are reported and left out. */
async function possible(faults: readonly FaultName[], tell: RunOptions["tell"]): Promise<FaultName[]> {
  const tools = await findTools();
  return faults.filter((name) => {
    const tool = toolOf(name);
    if (tool === undefined || tools.has(tool)) return true;
    tell(`${name} is left out: ${tool} is missing, or not allowed`);
    return false;
  });
}

function longestOf({ asked }: History): Asked | undefined {
  const patient = asked.filter(({ wish, ending }) => wish.readPauseMs === 0 && ending !== "left");
  return patient.toSorted((a, b) => b.endedAt - b.sentAt - (a.endedAt - a.sentAt))[0];
}

async function finish(world: World, clients: Clients, { disturbances }: Nemesis): Promise<History> {
  const calmAt = performance.now();
  await clients.stop(LAST_END_MS);
  const leaks = [...(await world.leaks(LEAK_MS))];
  const rested = await world.settled().then(
    () => true,
    () => false,
  );
  if (!rested) leaks.push("a process is not ready, or a slot is not free");
  const { asked } = clients;
  leaks.push(...(await sharingLeaks(world, { asked, disturbances })));
  return { asked, runs: world.backendRuns(), disturbances, calmAt, leaks, memory: world.memory() };
}
