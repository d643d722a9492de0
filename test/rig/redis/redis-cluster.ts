import { join } from "node:path";
import type { FleetRedis } from "./fleet-redis.ts";
import { until } from "../until.ts";
import { type Guard, loginIn, schemeOf, UNGUARDED } from "./guard.ts";
import { REPLICATED, RedisServer } from "./redis-server.ts";

const MASTERS = 3;

/** Silence of a node after which it counts as dead, ms. A loaded machine keeps no node silent that long. */
const NODE_TIMEOUT_MS = 5000;

const ARGS = "--cluster-enabled yes --cluster-config-file nodes.conf --cluster-node-timeout".split(" ");

/** A Redis Cluster of three masters with a replica each, on loopback. */
export class RedisCluster implements FleetRedis {
  readonly nodes: readonly RedisServer[];

  readonly #guard: Guard;

  private constructor(nodes: readonly RedisServer[], guard: Guard) {
    this.nodes = nodes;
    this.#guard = guard;
  }

  static async start(
    dir: string,
    guard: Guard = UNGUARDED,
    nodeTimeoutMs: number = NODE_TIMEOUT_MS,
  ): Promise<RedisCluster> {
    const args = [...ARGS, String(nodeTimeoutMs), ...REPLICATED, ...guard.args, ...guard.serverArgs];
    const nodes = await Promise.all(
      Array.from({ length: 2 * MASTERS }, async (_, index) =>
        RedisServer.start({
          dir: join(dir, `node-${index}`),
          args,
          login: guard.login,
          access: guard.access,
        }),
      ),
    );
    const cluster = new RedisCluster(nodes, guard);
    try {
      await cluster.#join();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get url(): string {
    const { login } = this.#guard;
    return `${schemeOf(this.#guard)}+cluster://${loginIn(login)}${this.nodes.map(({ address }) => address).join(",")}`;
  }

  /** The nodes that are masters now, in the order of their slots. */
  async allMasters(): Promise<RedisServer[]> {
    const alive = this.nodes.find((node) => node.alive);
    const ranges = (await alive?.ask("CLUSTER", "SLOTS")) as [number, number, [Buffer, number]][];
    const ports = ranges.toSorted(([a], [b]) => a - b).map(([, , [, port]]) => port);
    return [...new Set(ports)].flatMap((port) => this.nodes.find((node) => node.port === port) ?? []);
  }

  /** The master that has a key now. */
  async masterOf(key: string): Promise<RedisServer> {
    const alive = this.nodes.find((node) => node.alive);
    const slot = Number(await alive?.ask("CLUSTER", "KEYSLOT", key));
    const ranges = (await alive?.ask("CLUSTER", "SLOTS")) as [number, number, [Buffer, number]][];
    const range = ranges.find(([from, to]) => from <= slot && slot <= to);
    const master = this.nodes.find((node) => node.port === range?.[2][1]);
    if (master === undefined) throw new Error(`no node has the slot ${slot}`);
    return master;
  }

  /** Resolves when every node that runs says that all is well, and each master has a replica in step. */
  async whole(replicas: number = MASTERS): Promise<void> {
    await until("a whole cluster", async () => {
      const running = this.nodes.filter((node) => node.alive);
      const infos = await Promise.all(running.map(async (node) => node.text("CLUSTER", "INFO")));
      const roles = await Promise.all(running.map(async (node) => node.text("INFO", "replication")));
      const inStep = roles.filter((text) => /^master_link_status:up/m.test(text)).length;
      const masters = roles.filter((text) => /^role:master/m.test(text)).length;
      const well = infos.every((text) => text.includes("cluster_state:ok"));
      return well && masters === MASTERS && inStep === replicas;
    });
  }

  /** Kills the master of a key, or of the first slot. */
  async kill(key?: string): Promise<void> {
    const [first] = await this.allMasters();
    await (key === undefined ? first : await this.masterOf(key))?.kill();
  }

  /** After a kill: resolves when all are there again, as replicas where others have taken over. */
  async startAgain(): Promise<void> {
    await Promise.all(this.nodes.filter((node) => !node.alive).map(async (node) => node.startAgain()));
    await this.whole();
  }

  /** Makes a master of a replica, without loss. */
  async change(pick: (nodes: readonly RedisServer[]) => RedisServer): Promise<void> {
    const masters = await this.allMasters();
    await pick(this.nodes.filter((node) => node.alive && !masters.includes(node))).text(
      "CLUSTER",
      "FAILOVER",
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(async (node) => node.kill()));
  }

  async #join(): Promise<void> {
    const [first] = this.nodes;
    const ids = await Promise.all(this.nodes.map(async (node) => node.text("CLUSTER", "MYID")));
    for (const [index, node] of this.nodes.entries()) {
      await node.ask("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
      if (index < MASTERS) await node.ask("CLUSTER", "ADDSLOTSRANGE", ...slotsOf(index));
      await first?.ask("CLUSTER", "MEET", "127.0.0.1", String(node.port), String(node.busPort));
    }
    await until("nodes that know each other", async () => {
      const known = await Promise.all(this.nodes.map(async (node) => node.text("CLUSTER", "NODES")));
      return known.every((text) => ids.every((id) => text.includes(id)) && !text.includes("handshake"));
    });
    for (const [index, node] of this.nodes.entries()) {
      if (index >= MASTERS) await node.ask("CLUSTER", "REPLICATE", ids[index - MASTERS] ?? "");
    }
    await this.whole();
  }
}

function slotsOf(index: number): [string, string] {
  const from = Math.ceil((index * 16_384) / MASTERS);
  const to = Math.ceil(((index + 1) * 16_384) / MASTERS) - 1;
  return [String(from), String(to)];
}
