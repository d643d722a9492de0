import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FleetRedis } from "./fleet-redis.ts";
import { until } from "../until.ts";
import { type Guard, loginIn, schemeOf, UNGUARDED } from "./guard.ts";
import { REPLICATED, RedisServer } from "./redis-server.ts";

const MASTER_NAME = "mymaster";
const REPLICAS = 2;
const SENTINELS = 3;

/** Silence of a master after which it counts as dead, ms. A loaded machine keeps no master silent that long. */
const DOWN_AFTER_MS = 5000;

/** A master with two replicas, and three sentinels, on loopback. */
export class SentinelTrio implements FleetRedis {
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  readonly #guard: Guard;

  private constructor(servers: readonly RedisServer[], sentinels: readonly RedisServer[], guard: Guard) {
    this.servers = servers;
    this.sentinels = sentinels;
    this.#guard = guard;
  }

  static async start(
    dir: string,
    guard: Guard = UNGUARDED,
    downAfterMs: number = DOWN_AFTER_MS,
  ): Promise<SentinelTrio> {
    const master = await startServer(join(dir, "server-0"), "", guard);
    const replicas = await Promise.all(
      Array.from({ length: REPLICAS }, async (_, index) =>
        startServer(join(dir, `server-${index + 1}`), `replicaof 127.0.0.1 ${master.port}`, guard),
      ),
    );
    const sentinels = await Promise.all(
      Array.from({ length: SENTINELS }, async (_, index) =>
        startSentinel(join(dir, `sentinel-${index}`), { masterPort: master.port, downAfterMs, guard }),
      ),
    );
    const trio = new SentinelTrio([master, ...replicas], sentinels, guard);
    try {
      await trio.whole();
    } catch (error) {
      await trio.stop();
      throw error;
    }
    return trio;
  }

  get url(): string {
    const { login, sentinelLogin } = this.#guard;
    const hosts = this.sentinels.map(({ address }) => address).join(",");
    const [username = "", password = ""] = sentinelLogin.split(":");
    const query = sentinelLogin === "" ? "" : `?username=${username}&password=${password}`;
    return `${schemeOf(this.#guard)}+sentinel://${loginIn(login)}${hosts}/${MASTER_NAME}${query}`;
  }

  /** The server that the sentinels name. */
  async master(): Promise<RedisServer> {
    const asked = this.sentinels[0];
    if (asked === undefined) throw new Error("there is no sentinel");
    const reply = await asked.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME);
    const [, port] = reply as [Buffer, Buffer];
    const master = this.servers.find((server) => server.port === Number(port));
    if (master === undefined) throw new Error(`no server listens on port ${port.toString()}`);
    return master;
  }

  async allMasters(): Promise<RedisServer[]> {
    return [await this.master()];
  }

  /** Resolves when all sentinels agree on a master that runs, know each other, and its replicas are in step. */
  async whole(replicas: number = REPLICAS): Promise<void> {
    await until("a whole trio", async () => {
      const named = await Promise.all(
        this.sentinels.map(async (sentinel) =>
          sentinel.text("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME),
        ),
      );
      const about = await Promise.all(
        this.sentinels.map(async (sentinel) => sentinel.text("INFO", "sentinel")),
      );
      const acquainted = about.every((text) => text.includes(`sentinels=${SENTINELS}`));
      const master = await this.master();
      if (new Set(named).size !== 1 || !acquainted || !master.alive) return false;
      const info = await master.text("INFO", "replication");
      const inStep = info.match(/^slave\d+:.*state=online/gm)?.length ?? 0;
      return info.includes("role:master") && inStep >= replicas;
    });
  }

  /** Kills the master. */
  async kill(): Promise<void> {
    await (await this.master()).kill();
  }

  /** After a kill: resolves when all are there again, as replicas where another has taken over. */
  async startAgain(): Promise<void> {
    await Promise.all(this.servers.filter((node) => !node.alive).map(async (node) => node.startAgain()));
    await this.whole();
  }

  /** Has a replica made the master; a sentinel that has just done so refuses. */
  async change(pick: (nodes: readonly RedisServer[]) => RedisServer): Promise<void> {
    await pick(this.sentinels).text("SENTINEL", "FAILOVER", MASTER_NAME);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map(async (node) => node.kill()));
  }
}

/** Starts a server with its role in a file, where the sentinels change it. A new master comes back as one. */
async function startServer(dir: string, role: string, guard: Guard): Promise<RedisServer> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, "redis.conf");
  await writeFile(file, `${role}\n`);
  const args = [file, ...REPLICATED, "--save", "", ...guard.args, ...guard.serverArgs];
  return RedisServer.start({ dir, args, login: guard.login, access: guard.access });
}

async function startSentinel(
  dir: string,
  {
    masterPort,
    downAfterMs,
    guard,
  }: { readonly masterPort: number; readonly downAfterMs: number; readonly guard: Guard },
): Promise<RedisServer> {
  await mkdir(dir, { recursive: true });
  const file = join(dir, "sentinel.conf");
  const lines = [
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} 2`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${MASTER_NAME} 4000`,
    ...guard.sentinelLines,
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
  const { args, sentinelLogin: login, access } = guard;
  return RedisServer.start({ dir, args: [file, "--sentinel", ...args], login, access });
}
