import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, type TestContext } from "node:test";
import { connect } from "../../../src/redis/connection/connect.ts";
import type { Connection } from "../../../src/redis/connection/connection.ts";
import { Keys } from "../../../src/redis/keys.ts";
import { openStores } from "../../../src/redis/stores.ts";
import { type StandIn, type StandInOptions, startStandIn } from "../backends/stand-in.ts";
import { findLeaks } from "./leaks.ts";
import { Program } from "./program.ts";
import type { FleetRedis } from "../redis/fleet-redis.ts";
import { RedisServer } from "../redis/redis-server.ts";
import { until } from "../until.ts";

/** A worker process and the LLM server beside it. */
export interface Post {
  readonly worker: Program;
  readonly standIn: StandIn;
}

export interface PostPlan extends StandInOptions {
  readonly speaks?: "ollama" | "openai";
  /** Tasks at once; 8 when absent. */
  readonly slots?: number;
}

export interface FleetPlan {
  /** Starts a Redis in a folder; the installed one with an append-only file when absent. */
  readonly redis?: (dir: string) => Promise<FleetRedis>;
  /** One when absent. */
  readonly gateways?: number;
  /** Workers, each with a stand-in of its own; one calm Ollama when absent. */
  readonly posts?: readonly PostPlan[];
  /** Settings of all processes. */
  readonly env?: Readonly<Record<string, string>>;
  /** Longest life of the test, ms. */
  readonly limitMs?: number;
}

/**
 * Shorter than in service, so that take-over is quick; yet a machine that stands still for three seconds between two
 * heartbeats costs no living worker its tasks.
 */
export const LEASE_MS = 5000;
export const MODEL = "tiny";

/** Redis, gateways, workers and stand-ins of one test. */
export class Fleet {
  readonly gateways: Program[] = [];
  readonly posts: Post[] = [];
  readonly keys: Keys = new Keys("sgnet");
  readonly #dir: string;
  readonly #redis: FleetRedis;
  readonly #probe: Connection;
  readonly #env: Readonly<Record<string, string>>;
  readonly #standIns: StandIn[] = [];
  readonly #programs: Program[] = [];
  /** Number of the programs that started with the fleet. */
  #started = 0;

  private constructor(options: { dir: string; redis: FleetRedis; probe: Connection; plan: FleetPlan }) {
    this.#dir = options.dir;
    this.#redis = options.redis;
    this.#probe = options.probe;
    this.#env = {
      PORT: "0",
      REDIS_URL: options.redis.url,
      SGNET_LEASE_MS: String(LEASE_MS),
      SGNET_DRAIN_GRACE_MS: "0",
      SGNET_STATE_DIR: join(options.dir, "state"),
      ...options.plan.env,
    };
  }

  static async start(plan: FleetPlan): Promise<Fleet> {
    const dir = await mkdtemp(join(tmpdir(), "sgnet-journey-"));
    const startRedis =
      plan.redis ?? ((folder: string): Promise<FleetRedis> => RedisServer.start({ dir: folder }));
    const redis: FleetRedis = await startRedis(join(dir, "redis"));
    const fleet = new Fleet({ dir, redis, probe: await connect(redis.url, "journey", redis.access), plan });
    try {
      await Promise.all([
        ...Array.from({ length: plan.gateways ?? 1 }, () => fleet.addGateway()),
        ...(plan.posts ?? [{}]).map((post) => fleet.addPost(post)),
      ]);
      if (fleet.posts.length > 0) await fleet.known();
      fleet.#started = fleet.#programs.length;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
    return fleet;
  }

  /** The only, or first, gateway. */
  get gateway(): Program {
    const [first] = this.gateways;
    if (first === undefined) throw new Error("this fleet has no gateway");
    return first;
  }

  /** The test's own connection to Redis. */
  get probe(): Connection {
    return this.#probe;
  }

  /** The folder of this test, which is removed at its end. */
  get folder(): string {
    return this.#dir;
  }

  /** Settings with which a process of the fleet finds its Redis. */
  settingsOf(command: "gateway" | "worker"): Readonly<Record<string, string>> {
    return { REDIS_URL: this.#redis.url, ...this.#redis.settingsOf?.(command) };
  }

  /** For a command of the test's own. */
  get redisUrl(): string {
    return this.#redis.url;
  }

  get redis(): Pick<FleetRedis, "kill" | "startAgain"> {
    return this.#redis;
  }

  /** The n-th worker with its stand-in. */
  post(index = 0): Post {
    const post = this.posts[index];
    if (post === undefined) throw new Error(`this fleet has no post ${index}`);
    return post;
  }

  async addGateway(env: Readonly<Record<string, string>> = {}): Promise<Program> {
    const gateway = await this.#launch("gateway", env);
    this.gateways.push(gateway);
    return gateway;
  }

  /** Starts a stand-in and a worker beside it. */
  async addPost(plan: PostPlan = {}): Promise<Post> {
    const standIn = await startStandIn({ speaks: "ollama", models: [`${MODEL}:latest`], ...plan });
    this.#standIns.push(standIn);
    return this.addWorker(standIn, plan);
  }

  /** Starts another worker for a stand-in. */
  async addWorker(standIn: StandIn, plan: PostPlan = {}): Promise<Post> {
    const worker = await this.#launch("worker", {
      SGNET_BACKENDS: `${plan.speaks ?? "ollama"}+${standIn.url}`,
      SGNET_SLOTS: String(plan.slots ?? 8),
    });
    const post = { worker, standIn };
    this.posts.push(post);
    return post;
  }

  /** A worker with settings of the test's own. */
  async addBareWorker(env: Readonly<Record<string, string>>): Promise<Program> {
    return this.#launch("worker", env);
  }

  /** Resolves when every gateway lists a model. */
  async known(model: string = MODEL): Promise<void> {
    for (const gateway of this.gateways) {
      await until(`${model} at a gateway`, async () => (await modelsOf(gateway, this.#key)).includes(model));
    }
  }

  /** A client's key; none where the gateways ask for none. */
  get #key(): Readonly<Record<string, string>> {
    const [key] = this.#env["SGNET_API_KEY"]?.split(",") ?? [];
    return key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  /** Resolves when so many workers are announced. */
  async workers(count: number): Promise<void> {
    await until(`${count} workers`, async () => {
      return (await openStores(this.#probe, this.keys).registry.listWorkers()).length === count;
    });
  }

  /** Resolves when nothing is left of any task: not in Redis, at a gateway or on a backend. */
  async settled(): Promise<void> {
    let leaks: readonly string[] = ["no look was taken"];
    const gateways = this.gateways.filter((gateway) => gateway.alive);
    const surroundings = { redis: this.#probe, keys: this.keys, gateways, standIns: this.#standIns };
    try {
      await until("a clean fleet", async () => {
        leaks = await findLeaks(surroundings);
        return leaks.length === 0;
      });
    } catch (error) {
      throw new Error(`something leaked: ${leaks.join("; ")}`, { cause: error });
    }
  }

  /** All that the processes wrote, for a test that failed. */
  get story(): string {
    return this.#programs
      .map((program, index) => `== ${program.command} ${index}\n${program.story}`)
      .join("\n");
  }

  /** Ends the workers that a test has added, as an operator does: the fleet is as it was started. */
  async withoutAdded(): Promise<void> {
    const added = this.#programs.splice(this.#started);
    for (const program of added.filter(({ alive }) => alive)) program.signal("SIGTERM");
    await Promise.all(added.map(({ exited }) => exited));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#programs.filter((program) => program.alive).map((program) => program.kill()));
    this.#probe.close();
    await Promise.all([this.#redis.stop(), ...this.#standIns.map((standIn) => standIn.stop())]);
    await rm(this.#dir, { recursive: true, force: true });
  }

  async #launch(command: "gateway" | "worker", env: Readonly<Record<string, string>>): Promise<Program> {
    const all = { ...this.#env, ...this.#redis.settingsOf?.(command), ...env };
    const program = await Program.start({ command, env: all, cwd: this.#dir });
    this.#programs.push(program);
    return program;
  }
}

async function modelsOf(gateway: Program, headers: Readonly<Record<string, string>>): Promise<string[]> {
  const response = await fetch(`${gateway.url}/v1/models`, { headers });
  const list = (await response.json()) as { data: { id: string }[] };
  return list.data.map((model) => model.id.replace(/:latest$/, ""));
}

/** The runner's own limit would leave the fleet behind. Longer than several waits of `until`, so that these tell more. */
const TEST_LIMIT_MS = 300_000;

type Journey = (fleet: Fleet, t: TestContext) => Promise<void>;

/** Runs a journey to its clean end. It fails when a task leaves something behind. */
async function runJourney(
  fleet: Fleet,
  t: TestContext,
  run: Journey,
  limitMs = TEST_LIMIT_MS,
): Promise<void> {
  const limit = Promise.withResolvers<never>();
  const timer = setTimeout(() => limit.reject(new Error(`not over after ${limitMs / 1000} s`)), limitMs);
  try {
    await Promise.race([run(fleet, t), limit.promise]);
    await fleet.settled();
  } catch (error) {
    t.diagnostic(fleet.story);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** A test with a fleet of its own. */
export function journey(name: string, plan: FleetPlan, run: Journey): void {
  test(name, async (t) => {
    const fleet = await Fleet.start(plan);
    try {
      await runJourney(fleet, t, run, plan.limitMs);
    } finally {
      await fleet.stop();
    }
  });
}

/**
 * Gives the function for tests that share one fleet, one after the other. A test may add workers, which end with it. It
 * must not stop or change what the fleet started with, nor judge what the gateway knows of earlier workers. After a
 * failure the next test gets a new fleet.
 */
export function sharedFleet(plan: FleetPlan): (name: string, run: Journey) => void {
  let shared: Fleet | undefined;
  const drop = async (): Promise<void> => {
    const fleet = shared;
    shared = undefined;
    await fleet?.stop();
  };
  after(drop);
  return (name, run) => {
    test(name, async (t) => {
      shared ??= await Fleet.start(plan);
      try {
        await runJourney(shared, t, run, plan.limitMs);
        await shared.withoutAdded();
      } catch (error) {
        await drop();
        throw error;
      }
    });
  };
}
