import { freePort } from "../admin/free-port.ts";
import { workerExpected } from "../config/environment.ts";
import { productVersion } from "../config/version.ts";
import type { Settings } from "../config/settings.ts";
import { withoutUser } from "../redis/access.ts";
import type { Log } from "../telemetry/log.ts";
import { openLog } from "../telemetry/log.ts";
import { banner, examples } from "./banner.ts";
import { firstModel } from "./first-model.ts";
import { listenProblem, localUrl } from "./listening.ts";
import { ofSharedPort } from "./gateways.ts";
import { launchOwnProcess } from "./own-process.ts";
import { launchRedis } from "./own-redis.ts";
import { print } from "./print.ts";
import { processCount } from "./process-count.ts";
import { ownRedisDir, withOwnRedis } from "./redis-url.ts";
import { listenForStop } from "./stop-request.ts";
import { Supervised } from "./supervised.ts";
import type { Run } from "./supervised.ts";

const FIRST_DELAY_MS = 500;

/** Of the processors, where gateways are one per processor: the others are for the worker, Redis and the model. */
const SHARE_OF_GATEWAYS = 0.5;

/**
 * Runs Redis (unless one is named), a gateway and a worker until asked to stop; what ends by itself is started
 * again. Resolves with the exit code.
 */
export async function runUp(given: Settings): Promise<number> {
  const problem = await listenProblem(given.host, given.port);
  if (problem !== undefined) throw new Error(problem);
  // Chosen here, so that a gateway that is started again has the same one.
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
    print("Stopping: running requests are finished first. Ctrl-C again ends everything at once.\n");
  } finally {
    over.abort();
    await fleet.stop();
    stop.release();
  }
  return 0;
}

/** Says what runs, and, as soon as there is a model, how to use it. @param keys of clients, a comma list; never shown */
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

  /** What runs where, without secrets. */
  get places(): Readonly<Record<string, string>> {
    return {
      gateway: `${this.gatewayUrl}, in a browser the live page`,
      redis: this.#ownRedis
        ? `own, data in ${ownRedisDir(this.#settings)}`
        : withoutUser(this.#settings.redisUrl),
      worker:
        this.#settings.backends === "" ? "LLM servers of this machine, else the embedded model" : "as set",
    };
  }

  async start(): Promise<void> {
    if (this.#ownRedis) {
      this.#redis = this.#supervise("redis", () =>
        launchRedis({
          dir: ownRedisDir(this.#settings),
          log: this.#log,
          onUrl: (redisUrl) => (this.#settings = withOwnRedis(this.#settings, redisUrl)),
        }),
      );
      await this.#redis.start();
    }
    if (this.#stopped) return;
    this.#gateways = Array.from({ length: this.#gatewayCount }, (_, index) =>
      this.#supervise(index === 0 ? "gateway" : `gateway ${index + 1}`, () =>
        launchOwnProcess("gateway", ofSharedPort(this.#settings, this.#gatewayCount), workerExpected()),
      ),
    );
    this.#worker = this.#supervise("worker", () => launchOwnProcess("worker", this.#settings));
    await Promise.all([...this.#gateways, this.#worker].map(async (member) => member.start()));
  }

  /** All gateways first, so that no new request comes in, then the worker, then Redis. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#gateways.map(async (gateway) => gateway.stop()));
    await this.#worker?.stop();
    await this.#redis?.stop();
  }

  kill(): void {
    for (const member of [...this.#gateways, this.#worker, this.#redis]) member?.kill();
  }

  #supervise(name: string, launch: () => Run): Supervised {
    return new Supervised({ name, launch, log: this.#log, firstDelayMs: FIRST_DELAY_MS });
  }
}
