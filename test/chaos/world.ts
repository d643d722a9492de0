import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { findLeaks } from "../rig/fleet/leaks.ts";
import { Program, type ProgramOptions } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";
import { RedisCluster } from "../rig/redis/redis-cluster.ts";
import { UNGUARDED } from "../rig/redis/guard.ts";
import { SentinelTrio } from "../rig/redis/sentinel-trio.ts";
import { openStores, type Stores } from "../../src/redis/stores.ts";
import { type Recorded, type Script, type StandIn, startStandIn } from "../rig/backends/stand-in.ts";
import { headersOf } from "./ask.ts";
import { type BackendRun, type ClientKey, type Wish, wordOf } from "./history.ts";
import { issueKeys, usedBy, type UsedByKey } from "./sharing.ts";
import { Link } from "./link.ts";
import { RedisHost } from "./redis-host.ts";
import { buildClock } from "./tools.ts";
import { WallClock } from "./wall-clock.ts";

export const LEASE_MS = 1500;
/** Longest life of a request: no disturbance lasts that long, so none may end by it. */
export const DEADLINE_MS = 60_000;
/** Time for the open requests of a process that stops, ms. */
export const DRAIN_MS = 4000;
/** The model that every backend offers. */
const MODEL = "tiny:latest";

const SLOTS = 4;

const START_TRIES = 20;
const RESTART_MS = 300;

/** Silence of a master after which the cluster or Sentinel replaces it, ms. */
const MASTER_LOST_MS = 2000;

const SPEAKS = ["ollama", "openai", "ollama"] as const;

/** A place for a gateway, which may change, with its way to Redis. */
export interface GatewaySeat {
  readonly toRedis: Link;
  /** Absent where clocks cannot be set. */
  readonly clock: WallClock | undefined;
  /** Absent while it is down. */
  program: Program | undefined;
}

/** A place for a worker and its backend, which may change, with their ways. */
export interface WorkerSeat {
  readonly toRedis: Link;
  readonly toBackend: Link;
  /** Absent where clocks cannot be set. */
  readonly clock: WallClock | undefined;
  readonly speaks: "ollama" | "openai";
  program: Program | undefined;
  standIn: StandIn;
  /** Port of the stand-in. It keeps the port while it is down. */
  backendPort: number;
  /** Requests to the earlier stand-ins of this node. */
  readonly before: Recorded[];
}

export const TOPOLOGIES = ["one", "cluster", "sentinel"] as const;

/**
 * The Redis of a world: one server, a cluster of three masters and three replicas, or one master with two replicas and
 * sentinels.
 */
export type Topology = (typeof TOPOLOGIES)[number];

/** Two gateways, three workers, their backends and Redis; each way between two of them can be disturbed. */
export class World {
  readonly gateways: GatewaySeat[] = [];
  readonly workers: WorkerSeat[] = [];
  readonly redis: RedisHost | RedisCluster | SentinelTrio;
  /** The keys of the clients; empty where none is needed. */
  readonly clientKeys: ClientKey[] = [];
  readonly #dir: string;
  readonly #keys: Keys = new Keys("sgnet");
  readonly #programs: Program[] = [];

  readonly #newClock: NewClock;

  private constructor(dir: string, redis: World["redis"], newClock: NewClock) {
    this.#dir = dir;
    this.redis = redis;
    this.#newClock = newClock;
  }

  static async start(topology: Topology): Promise<World> {
    const dir = await mkdtemp(join(tmpdir(), "sgnet-chaos-"));
    const newClock = await clocksIn(dir);
    const world = new World(dir, await startRedis(topology, join(dir, "redis"), newClock), newClock);
    try {
      for (let seat = 0; seat < 2; seat += 1) await world.#addGateway();
      for (const speaks of SPEAKS) await world.#addWorker(speaks);
      await Promise.all([
        ...world.gateways.map((seat) => world.startGateway(seat)),
        ...world.workers.map((seat) => world.startWorker(seat)),
      ]);
      await world.settled();
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  async startGateway(seat: GatewaySeat): Promise<void> {
    seat.program = await this.#launch("gateway", seat, {});
  }

  async startWorker(seat: WorkerSeat): Promise<void> {
    seat.program = await this.#launch("worker", seat, {
      SGNET_BACKENDS: `${seat.speaks}+http://127.0.0.1:${seat.toBackend.port}`,
      SGNET_SLOTS: String(SLOTS),
    });
  }

  async stopBackend(seat: WorkerSeat): Promise<void> {
    await seat.standIn.stop();
  }

  async startBackend(seat: WorkerSeat): Promise<void> {
    seat.before.push(...seat.standIn.requests);
    seat.standIn = await startBackend(seat.speaks);
    seat.backendPort = seat.standIn.port;
  }

  /** Makes keys for the clients. Resolves when every gateway refuses requests without one. */
  async closeDoor(): Promise<void> {
    this.clientKeys.push(...(await this.#withStores(issueKeys)));
    await until("gateways that ask for a key", async () => {
      const replies = await Promise.all(
        this.gateways.map(async ({ program }) => (await fetch(`${program?.url}/api/tags`)).status),
      );
      return replies.every((status) => status === 401);
    });
    await this.settled();
  }

  /** Works on Redis as the one who runs the fleet. */
  async #withStores<Found>(work: (stores: Stores) => Promise<Found>): Promise<Found> {
    const probe = await connect(this.redis.url, "chaos");
    try {
      return await work(openStores(probe, this.#keys));
    } finally {
      probe.close();
    }
  }

  /** Requests, and tokens of the whole answers, that Redis counted for a key. */
  async usageOf(key: ClientKey): Promise<UsedByKey> {
    return this.#withStores((stores) => usedBy(stores, key));
  }

  /** Resolves when everything runs, knows of each other, and no slot is taken. */
  async settled(limitMs = 30_000): Promise<void> {
    const probe = await connect(this.redis.url, "chaos");
    try {
      await until("a fleet at rest", () => this.#atRest(probe), limitMs);
    } finally {
      probe.close();
    }
  }

  /** Resolves with the leftovers of tasks that no client waits for, once they no longer decrease. */
  async leaks(limitMs: number): Promise<readonly string[]> {
    const probe = await connect(this.redis.url, "chaos");
    let leaks: readonly string[] = [];
    const gateways = this.gateways.flatMap(({ program }) => program ?? []);
    const standIns = this.workers.map(({ standIn }) => standIn);
    try {
      await until(
        "no leak",
        async () => {
          leaks = await findLeaks({ redis: probe, keys: this.#keys, gateways, standIns });
          return leaks.length === 0;
        },
        limitMs,
      );
    } catch (error) {
      if (leaks.length === 0) leaks = [String(error)];
    } finally {
      probe.close();
    }
    return leaks;
  }

  backendRuns(): BackendRun[] {
    return this.workers.flatMap(({ before, standIn }) => [...before, ...standIn.requests].map(toRun));
  }

  /** Log lines of all processes there ever were. */
  logLines(): { readonly who: string; readonly line: string }[] {
    return this.#programs.flatMap((program) => {
      const who = `${program.command} ${program.pid}`;
      return program.lines.map((line) => ({ who, line }));
    });
  }

  memory(): { name: string; bytes: number }[] {
    return this.#programs
      .filter((program) => program.alive)
      .map((program) => ({ name: `${program.command} ${program.pid}`, bytes: residentBytes(program.pid) }));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs.filter((program) => program.alive).map((program) => program.kill()));
    await this.redis.stop();
    await Promise.all([
      ...this.gateways.map(({ toRedis }) => toRedis.close()),
      ...this.workers.flatMap(({ toRedis, toBackend, standIn }) => [
        toRedis.close(),
        toBackend.close(),
        standIn.stop(),
      ]),
    ]);
    await rm(this.#dir, { recursive: true, force: true });
  }

  /** The one server. */
  get server(): RedisHost {
    if (this.redis instanceof RedisHost) return this.redis;
    throw new Error("there is more than one server");
  }

  /** Masters that others can take over from. */
  get masters(): RedisCluster | SentinelTrio {
    if (this.redis instanceof RedisHost) throw new Error("there is one server only");
    return this.redis;
  }

  /** The Redis of a process. Cluster and Sentinel report server addresses to clients, so no link can stand between. */
  #redisUrl(toRedis: Link): string {
    return this.redis instanceof RedisHost ? `redis://127.0.0.1:${toRedis.port}` : this.redis.url;
  }

  async #addGateway(): Promise<void> {
    const toRedis = await Link.open(() => this.server.port);
    const clock = this.#newClock(`gateway-${this.gateways.length}`);
    this.gateways.push({ toRedis, clock, program: undefined });
  }

  async #addWorker(speaks: "ollama" | "openai"): Promise<void> {
    const toRedis = await Link.open(() => this.server.port);
    const standIn = await startBackend(speaks);
    const toBackend: Link = await Link.open(() => seat.backendPort);
    const seat: WorkerSeat = {
      toRedis,
      toBackend,
      clock: this.#newClock(`worker-${this.workers.length}`),
      speaks,
      program: undefined,
      standIn,
      backendPort: standIn.port,
      before: [],
    };
    this.workers.push(seat);
  }

  async #launch(
    command: "gateway" | "worker",
    { toRedis, clock }: Pick<GatewaySeat, "toRedis" | "clock">,
    env: Readonly<Record<string, string>>,
  ): Promise<Program> {
    const program = await persistently({
      command,
      env: {
        PORT: "0",
        REDIS_URL: this.#redisUrl(toRedis),
        SGNET_LEASE_MS: String(LEASE_MS),
        SGNET_DRAIN_MS: String(DRAIN_MS),
        SGNET_TASK_TIMEOUT_MS: String(DEADLINE_MS),
        SGNET_STATE_DIR: join(this.#dir, "state"),
        SGNET_LOG_LEVEL: "info",
        ...clock?.env,
        ...env,
      },
      cwd: this.#dir,
    });
    this.#programs.push(program);
    return program;
  }

  async #atRest(probe: Connection): Promise<boolean> {
    const workers = await openStores(probe, this.#keys).registry.listWorkers();
    const backends = workers.flatMap((worker) => worker.backends);
    const idle = backends.every(({ healthy, busy }) => healthy && busy === 0);
    if (workers.length !== this.workers.length || !idle) return false;
    for (const { program } of this.gateways) {
      if (!(await knowsModel(program, this.clientKeys[0]))) return false;
    }
    return true;
  }
}

/** True when a gateway is ready and has heard of the workers: before that it answers "no such model", and is right. */
async function knowsModel(program: Program | undefined, key: ClientKey | undefined): Promise<boolean> {
  const ready = await fetch(`${program?.url}/readyz?strict`);
  const tags = await fetch(`${program?.url}/api/tags`, { headers: headersOf(key) });
  const [, listed] = await Promise.all([ready.text(), tags.text()]);
  return ready.status === 200 && listed.includes(`"${MODEL}"`);
}

/** Starts a process again until it finds Redis, as a supervisor does. */
async function persistently(options: ProgramOptions): Promise<Program> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await Program.start(options);
    } catch (error) {
      if (tries === START_TRIES) throw error;
      await delay(RESTART_MS);
    }
  }
}

async function startRedis(topology: Topology, dir: string, newClock: NewClock): Promise<World["redis"]> {
  if (topology === "cluster") return RedisCluster.start(dir, UNGUARDED, MASTER_LOST_MS);
  return topology === "sentinel"
    ? SentinelTrio.start(dir, UNGUARDED, MASTER_LOST_MS)
    : RedisHost.start(dir, newClock("redis"));
}

/** Makes the clock of a seat; undefined where clocks cannot be set. */
type NewClock = (seat: string) => WallClock | undefined;

async function clocksIn(dir: string): Promise<NewClock> {
  const library = await buildClock(join(dir, "clock.so"));
  return (seat) => (library === undefined ? undefined : new WallClock(library, join(dir, `${seat}.clock`)));
}

function startBackend(speaks: "ollama" | "openai"): Promise<StandIn> {
  return startStandIn({ speaks, models: [MODEL], script: scriptOf });
}

/** The first line of the prompt tells the backend what to say. */
function promptIn(body: Record<string, unknown>): string {
  const { messages, prompt } = body as { messages?: readonly { content: unknown }[]; prompt?: unknown };
  return String(messages?.at(-1)?.content ?? prompt);
}

type Order = Pick<Wish, "id" | "padding" | "firstTokenMs" | "tokenMs">;

/** A worker's own request, to find the cause of a failure. It is no client's, and the checker does not know it. */
const OWN: Order = { id: "asked by a worker itself", padding: 0, firstTokenMs: 0, tokenMs: 0 };

function orderIn(body: Record<string, unknown>): Order {
  const prompt = promptIn(body);
  const end = prompt.indexOf("\n");
  return end === -1 ? OWN : (JSON.parse(prompt.slice(0, end)) as Wish);
}

function scriptOf(body: Record<string, unknown>): Script {
  const order = orderIn(body);
  const { firstTokenMs, tokenMs } = order;
  return { firstTokenMs, tokenMs, word: (index) => wordOf(order, index) };
}

function toRun({ body, startedAt, endedAt, outcome, tokens }: Recorded): BackendRun {
  const end = outcome === "open" ? Number.POSITIVE_INFINITY : endedAt;
  return { id: orderIn(body).id, startedAt, endedAt: end, outcome, tokens };
}

function residentBytes(pid: number | undefined): number {
  if (process.platform !== "linux") return 0;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}
