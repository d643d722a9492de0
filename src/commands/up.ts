import { freePort } from "../local-redis/free-port.ts";
import { startRedis } from "../local-redis/redis-child.ts";
import type { RedisChild } from "../local-redis/redis-child.ts";
import { workerExpected } from "../config/environment.ts";
import { productVersion } from "../config/version.ts";
import type { Settings } from "../config/settings.ts";
import { withoutUser } from "../redis/connection/access.ts";
import type { Log } from "../telemetry/log.ts";
import { openLog } from "../telemetry/log.ts";
import { banner, examples } from "./banner.ts";
import { firstModel } from "./first-model.ts";
import { listenProblem, localUrl } from "./listening.ts";
import { ofSharedPort } from "./gateways.ts";
import { launchChildProcess } from "./child-process.ts";
import { print } from "./print.ts";
import { processCount } from "./process-count.ts";
import { localRedisDir, withLocalRedis } from "./redis-discovery.ts";
import { listenForStop } from "./stop-request.ts";
import { Supervised } from "./supervised.ts";
import type { ProcessRun } from "./supervised.ts";

const FIRST_DELAY_MS = 500;

/** Share of the CPU cores for gateways. The others are for the worker, Redis and the model. */
const SHARE_OF_GATEWAYS = 0.5;

/**
 * Runs Redis (unless one is configured), a gateway and a worker until they are stopped. A process that ends by itself
 * is started again. Resolves with the exit code.
 */
export async function runUp(given: Settings): Promise<number> {
  const problem = await listenProblem(given.host, given.port);
  if (problem !== undefined) throw new Error(problem);
  // The port is chosen here, so that a restarted gateway keeps it.
  const port = given.port === 0 ? await freePort(given.host) : given.port;
  const settings = Object.freeze({ ...given, port });
  const log = openLog({ level: settings.logLevel, format: settings.logFormat }).with({ process: "up" });
  const fleet = new Fleet(settings, log);
  const stop = listenForStop(() => fleet.kill());
  const over = new AbortController();
  void stop.requested.then(() => over.abort());
  try {
    await Promise.race([fleet.start(), stop.requested]);
    if (!over.signal.aborted) await present(fleet, settings.apiKeys, over.signal);
    await stop.requested;
    print("Stopping: running requests finish first. Press Ctrl-C again to end everything at once.\n");
  } finally {
    over.abort();
    await fleet.stop();
    stop.release();
  }
  return 0;
}

/**
 * Prints the running processes and, as soon as there is a model, example commands. @param keys client keys, a comma
 * list; never printed
 */
async function present(fleet: Fleet, keys: string, signal: AbortSignal): Promise<void> {
  print(banner(productVersion(), fleet.places));
  const [key = ""] = keys.split(",");
  const model = await firstModel({ url: fleet.gatewayUrl, key: key.trim() }, signal);
  if (model !== undefined) print(examples(fleet.gatewayUrl, model, key !== ""));
}

/** The processes of one machine. */
class Fleet {
  readonly #log: Log;
  readonly #ownRedis: boolean;
  readonly #gatewayCount: number;
  #redis: Supervised | undefined;
  #gateways: readonly Supervised[] = [];
  #worker: Supervised | undefined;
  #settings: Settings;
  #stopped = false;

  constructor(settings: Settings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#ownRedis = settings.redisUrl === "";
    this.#gatewayCount = processCount(settings.processes, SHARE_OF_GATEWAYS);
  }

  get gatewayUrl(): string {
    return localUrl(this.#settings.host, this.#settings.port);
  }

  /** Places of the processes, without secrets. */
  get places(): Readonly<Record<string, string>> {
    return {
      gateway: `${this.gatewayUrl}, open it in a browser for the live page`,
      redis: this.#ownRedis
        ? `own, data in ${localRedisDir(this.#settings)}`
        : withoutUser(this.#settings.redisUrl),
      worker:
        this.#settings.backends === "" ? "LLM servers of this machine, else the embedded model" : "as set",
    };
  }

  async start(): Promise<void> {
    if (this.#ownRedis) {
      this.#redis = this.#supervise("redis", () =>
        launchRedis({
          dir: localRedisDir(this.#settings),
          log: this.#log,
          onUrl: (redisUrl) => (this.#settings = withLocalRedis(this.#settings, redisUrl)),
        }),
      );
      await this.#redis.start();
    }
    if (this.#stopped) return;
    this.#gateways = Array.from({ length: this.#gatewayCount }, (_, index) =>
      this.#supervise(index === 0 ? "gateway" : `gateway ${index + 1}`, () =>
        launchChildProcess("gateway", ofSharedPort(this.#settings, this.#gatewayCount), workerExpected()),
      ),
    );
    this.#worker = this.#supervise("worker", () => launchChildProcess("worker", this.#settings));
    await Promise.all([...this.#gateways, this.#worker].map(async (member) => member.start()));
  }

  /** Stops the gateways first, so that no new request comes in, then the worker, then Redis. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#gateways.map(async (gateway) => gateway.stop()));
    await this.#worker?.stop();
    await this.#redis?.stop();
  }

  kill(): void {
    for (const member of [...this.#gateways, this.#worker, this.#redis]) member?.kill();
  }

  #supervise(name: string, launch: () => ProcessRun): Supervised {
    return new Supervised({ name, launch, log: this.#log, firstDelayMs: FIRST_DELAY_MS });
  }
}

interface OwnRedisOptions {
  readonly dir: string;
  readonly log: Log;
  /** Called with the URL of Redis before `ready` resolves. */
  readonly onUrl: (url: string) => void;
}

/** Runs a private Redis as a child process. */
function launchRedis({ dir, log, onUrl }: OwnRedisOptions): ProcessRun {
  let redis: RedisChild | undefined;
  const start = async (): Promise<void> => {
    redis = await startRedis({ dir, log });
    onUrl(redis.url);
  };
  const ready = start();
  const settled = ready.catch(() => {});
  return {
    ready,
    exited: settled.then(async () => void (await redis?.exited)),
    stop: () => settled.then(async () => redis?.stop()),
    kill: () => redis?.kill(),
  };
}
