import { setTimeout as delay } from "node:timers/promises";
import type { Program } from "../rig/fleet/program.ts";
import type { RedisServer } from "../rig/redis/redis-server.ts";
import type { Dice } from "./dice.ts";
import type { Tool } from "./tools.ts";
import type { WallClock } from "./wall-clock.ts";
import type { GatewaySeat, Topology, WorkerSeat, World } from "./world.ts";

/** The means of a fault. */
export interface Stage {
  readonly world: World;
  readonly target: number;
  /** Duration, ms. */
  readonly holdMs: number;
  readonly dice: Dice;
}

interface FaultKind {
  /** The party that it concerns. Two faults never concern the same party at once. */
  readonly party:
    | "gateway"
    | "worker"
    | "backend"
    | "redis"
    | "master"
    | "gateway-link"
    | "worker-link"
    | "backend-link";
  /** A tool that it needs. */
  readonly needs?: Tool;
  /** Shortest and longest duration, ms. */
  readonly hold: readonly [number, number];
  /** Waits until it can be done, and felt. */
  ready?(stage: Stage): Promise<void>;
  /** Breaks something, waits, mends it. */
  run(stage: Stage): Promise<void>;
}

/** Largest error of a clock, ms; longer than any request lives. */
const CLOCK_MS = 300_000;

/** Largest error of Redis's clock, ms. Longer than any lease or announcement, shorter than a request may live. */
const REDIS_CLOCK_MS = 30_000;

const gatewayOf = ({ world, target }: Stage): GatewaySeat => seatAt(world.gateways, target);
const workerOf = ({ world, target }: Stage): WorkerSeat => seatAt(world.workers, target);

function seatAt<Seat>(seats: readonly Seat[], index: number): Seat {
  const seat = seats[index];
  if (seat === undefined) throw new Error(`there is no seat ${index}`);
  return seat;
}

async function freeze(program: Program | undefined, holdMs: number): Promise<void> {
  program?.signal("SIGSTOP");
  await delay(holdMs);
  program?.signal("SIGCONT");
}

async function crash(seat: GatewaySeat | WorkerSeat, holdMs: number): Promise<void> {
  const { program } = seat;
  seat.program = undefined;
  await program?.kill();
  await delay(holdMs);
}

/** Told to stop, it finishes what it can. */
async function leave(seat: GatewaySeat | WorkerSeat): Promise<void> {
  const { program } = seat;
  seat.program = undefined;
  program?.signal("SIGTERM");
  await program?.exited;
}

async function restartRedis({ world, holdMs }: Stage, empty: boolean): Promise<void> {
  await world.server.kill();
  await delay(holdMs);
  await world.server.startAgain({ empty });
}

/** The machine loses its power: with `appendfsync everysec` what was written last was not on its disk yet. */
async function cutPower({ world: { server }, holdMs, dice }: Stage): Promise<void> {
  const written = await server.written();
  await delay(dice.between(1000, 2000));
  await server.kill();
  await server.lose(written, dice.pick([0, dice.between(1, 200)]));
  await delay(holdMs);
  await server.startAgain({ empty: false });
}

/** Redis syncs beside its work, or, when it is told so, before each answer. */
async function slowDisk({ world: { server }, holdMs, dice }: Stage): Promise<void> {
  const mend = await server.slowSyncs(dice.between(200, 2500));
  if (dice.chance(0.5)) await server.set("appendfsync", "always");
  await delay(holdMs);
  await mend();
  await server.set("appendfsync", "everysec");
}

/** Forwards or backwards, then back to what is right. */
async function jump(clock: WallClock | undefined, { dice, holdMs }: Stage, mostMs: number): Promise<void> {
  clock?.set(dice.pick([-1, 1]) * dice.between(1000, mostMs));
  await delay(holdMs);
  clock?.set(0);
}

/** A master that is gone for long enough is replaced. */
const mastering = {
  party: "master",
  ready: ({ world }: Stage): Promise<void> => world.masters.whole(),
} as const;

async function victim({ world, dice }: Stage): Promise<RedisServer> {
  return dice.pick(await world.masters.allMasters());
}

export type FaultName =
  | "gateway-kill"
  | "gateway-freeze"
  | "gateway-stop"
  | "gateway-away"
  | "worker-kill"
  | "worker-freeze"
  | "worker-stop"
  | "backend-kill"
  | "backend-refuse"
  | "backend-broken"
  | "redis-kill"
  | "redis-empty"
  | "redis-freeze"
  | "redis-power"
  | "redis-slow-disk"
  | "redis-full-disk"
  | "redis-full-memory"
  | "gateway-clock"
  | "worker-clock"
  | "redis-clock"
  | "master-kill"
  | "master-freeze"
  | "master-change"
  | "gateway-cut"
  | "worker-cut"
  | "backend-cut"
  | "gateway-cut-one"
  | "worker-cut-one"
  | "gateway-stall"
  | "worker-stall"
  | "backend-stall"
  | "gateway-slow"
  | "worker-slow";

export const FAULTS: Readonly<Record<FaultName, FaultKind>> = {
  "gateway-kill": {
    party: "gateway",
    hold: [0, 1000],
    run: async (stage) => {
      await crash(gatewayOf(stage), stage.holdMs);
      await stage.world.startGateway(gatewayOf(stage));
    },
  },
  "gateway-freeze": {
    party: "gateway",
    hold: [200, 7000],
    run: (stage) => freeze(gatewayOf(stage).program, stage.holdMs),
  },
  "gateway-stop": {
    party: "gateway",
    hold: [0, 0],
    run: async (stage) => {
      await leave(gatewayOf(stage));
      await stage.world.startGateway(gatewayOf(stage));
    },
  },
  /** For longer than its announcement lives: workers take it for dead. */
  "gateway-away": {
    party: "gateway",
    hold: [16_000, 20_000],
    run: (stage) => freeze(gatewayOf(stage).program, stage.holdMs),
  },
  "worker-kill": {
    party: "worker",
    hold: [0, 2000],
    run: async (stage) => {
      await crash(workerOf(stage), stage.holdMs);
      await stage.world.startWorker(workerOf(stage));
    },
  },
  "worker-freeze": {
    party: "worker",
    hold: [200, 4000],
    run: (stage) => freeze(workerOf(stage).program, stage.holdMs),
  },
  "worker-stop": {
    party: "worker",
    hold: [0, 0],
    run: async (stage) => {
      await leave(workerOf(stage));
      await stage.world.startWorker(workerOf(stage));
    },
  },
  "backend-kill": {
    party: "backend",
    hold: [100, 2500],
    run: async (stage) => {
      await stage.world.stopBackend(workerOf(stage));
      await delay(stage.holdMs);
      await stage.world.startBackend(workerOf(stage));
    },
  },
  "backend-refuse": refusing(503, "loading model"),
  "backend-broken": refusing(500, "the runner has terminated"),
  "redis-kill": { party: "redis", hold: [0, 2500], run: (stage) => restartRedis(stage, false) },
  "redis-empty": { party: "redis", hold: [0, 1500], run: (stage) => restartRedis(stage, true) },
  "redis-freeze": {
    party: "redis",
    hold: [200, 8000],
    run: async ({ world, holdMs }) => {
      world.server.signal("SIGSTOP");
      await delay(holdMs);
      world.server.signal("SIGCONT");
    },
  },
  "redis-power": { party: "redis", hold: [0, 2500], run: cutPower },
  "redis-slow-disk": { party: "redis", needs: "strace", hold: [1000, 7000], run: slowDisk },
  "redis-full-disk": {
    party: "redis",
    needs: "strace",
    hold: [500, 4000],
    run: async ({ world: { server }, holdMs }) => {
      const mend = await server.fillDisk();
      await delay(holdMs);
      await mend();
    },
  },
  "redis-full-memory": {
    party: "redis",
    hold: [500, 4000],
    run: async ({ world: { server }, holdMs }) => {
      await server.set("maxmemory", "1");
      await delay(holdMs);
      await server.set("maxmemory", "0");
    },
  },
  "gateway-clock": {
    party: "gateway",
    needs: "cc",
    hold: [500, 5000],
    run: (stage) => jump(gatewayOf(stage).clock, stage, CLOCK_MS),
  },
  "worker-clock": {
    party: "worker",
    needs: "cc",
    hold: [500, 5000],
    run: (stage) => jump(workerOf(stage).clock, stage, CLOCK_MS),
  },
  "redis-clock": {
    party: "redis",
    needs: "cc",
    hold: [500, 5000],
    run: (stage) => jump(stage.world.server.clock, stage, REDIS_CLOCK_MS),
  },
  "master-kill": {
    ...mastering,
    hold: [0, 9000],
    run: async (stage) => {
      const master = await victim(stage);
      await master.kill();
      await delay(stage.holdMs);
      await master.startAgain();
    },
  },
  "master-freeze": {
    ...mastering,
    hold: [500, 9000],
    run: async (stage) => {
      const master = await victim(stage);
      master.signal("SIGSTOP");
      await delay(stage.holdMs);
      master.signal("SIGCONT");
    },
  },
  /** As planned by an operator. */
  "master-change": {
    ...mastering,
    hold: [0, 0],
    run: ({ world, dice }) => world.masters.change((nodes) => dice.pick(nodes)),
  },
  "gateway-cut": cutting("gateway-link"),
  "worker-cut": cutting("worker-link"),
  "backend-cut": cutting("backend-link"),
  "gateway-cut-one": cuttingOne("gateway-link"),
  "worker-cut-one": cuttingOne("worker-link"),
  "gateway-stall": stalling("gateway-link"),
  "worker-stall": stalling("worker-link"),
  "backend-stall": stalling("backend-link"),
  "gateway-slow": slowing("gateway-link"),
  "worker-slow": slowing("worker-link"),
};

/** It answers every request with this, while its health looks well. */
function refusing(status: number, message: string): FaultKind {
  return {
    party: "backend",
    hold: [100, 4000],
    run: async (stage) => {
      const { behaviour } = workerOf(stage).standIn;
      behaviour.refuse = { status, message };
      await delay(stage.holdMs);
      behaviour.refuse = undefined;
    },
  };
}

type LinkParty = "gateway-link" | "worker-link" | "backend-link";

function linkOf(party: LinkParty, stage: Stage): WorkerSeat["toRedis"] {
  if (party === "gateway-link") return gatewayOf(stage).toRedis;
  return party === "worker-link" ? workerOf(stage).toRedis : workerOf(stage).toBackend;
}

function cutting(party: LinkParty): FaultKind {
  return {
    party,
    hold: [0, 3000],
    run: async (stage) => {
      const link = linkOf(party, stage);
      link.cut();
      await delay(stage.holdMs);
      link.mend();
    },
  };
}

/** Breaks one of several connections of a process, which can reconnect at once. */
function cuttingOne(party: LinkParty): FaultKind {
  return {
    party,
    hold: [0, 0],
    run: (stage) => {
      linkOf(party, stage).cutOne(stage.dice.between(0, 1000));
      return Promise.resolve();
    },
  };
}

function stalling(party: LinkParty): FaultKind {
  return {
    party,
    hold: [200, 7000],
    run: async (stage) => {
      const link = linkOf(party, stage);
      const lose = stage.dice.chance(0.5);
      link.stall();
      await delay(stage.holdMs);
      link.mend(lose);
    },
  };
}

function slowing(party: LinkParty): FaultKind {
  return {
    party,
    hold: [500, 3000],
    run: async (stage) => {
      const link = linkOf(party, stage);
      link.slow(stage.dice.between(5, 150));
      await delay(stage.holdMs);
      link.mend();
    },
  };
}

const FAULT_NAMES: readonly FaultName[] = Object.keys(FAULTS) as FaultName[];

const OF_ONE_SERVER: ReadonlySet<string> = new Set(["redis", "gateway-link", "worker-link"]);

/** The faults that there can be. */
export function faultsOf(topology: Topology): readonly FaultName[] {
  return FAULT_NAMES.filter((name) => {
    const { party } = FAULTS[name];
    return topology === "one" ? party !== "master" : !OF_ONE_SERVER.has(party);
  });
}

/** The tool that a fault needs. */
export function toolOf(name: FaultName): Tool | undefined {
  return FAULTS[name].needs;
}

/** The number of parties of a kind. */
export function targetsOf(name: FaultName): number {
  const { party } = FAULTS[name];
  if (party === "redis" || party === "master") return 1;
  return party.startsWith("gateway") ? 2 : 3;
}
