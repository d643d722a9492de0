import { Fault } from "../../core/fault.ts";
import type { NodeConnection } from "./node-connection.ts";
import { openMember } from "./open-node.ts";
import type { Server } from "./open-node.ts";
import { shownAddress } from "./redis-url.ts";
import type { RedisAddress } from "./redis-url.ts";
import { asText } from "./resp.ts";
import { runOf } from "./server.ts";
import type { Upkeep } from "./upkeep.ts";

/** The connections to the nodes of a Redis Cluster, by address. */
export class ClusterNodes {
  readonly #login: Omit<Server, "address">;
  readonly #upkeep: Pick<Upkeep, "assertOpen" | "broke">;
  readonly #nodes = new Map<string, NodeConnection>();
  readonly #opening = new Map<string, Promise<NodeConnection>>();
  /** Nodes that reported a broken cluster. Each must report an intact one before it counts as connected. */
  readonly #suspects = new WeakSet<NodeConnection>();
  /** Run of the server of each node; absent when the server does not report it. */
  readonly #runs = new WeakMap<NodeConnection, string>();

  constructor(login: Omit<Server, "address">, upkeep: Pick<Upkeep, "assertOpen" | "broke">) {
    this.#login = login;
    this.#upkeep = upkeep;
  }

  /** The connection to a node, opened when there is none. Rejects with `redis_down`. */
  async get(address: RedisAddress): Promise<NodeConnection> {
    const name = shownAddress(address);
    const node = this.#nodes.get(name);
    if (node !== undefined) return this.#verified(node);
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#open(name, address).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  /**
   * Uses a new connection to a node for one piece of work. The node must report an intact cluster.
   * Kept connections cannot do this: they may be blocked or subscribed.
   */
  async useOnce<Result>(
    address: RedisAddress,
    work: (node: NodeConnection) => Promise<Result>,
  ): Promise<Result> {
    const node = await this.#connect(address);
    try {
      await assertServing(node);
      return await work(node);
    } finally {
      node.close();
    }
  }

  /** This node reported a broken cluster. */
  suspect(node: NodeConnection): void {
    this.#suspects.add(node);
  }

  runOf(node: NodeConnection): string | undefined {
    return this.#runs.get(node);
  }

  /** True for the same run of the same server: a restarted server counts as another one. */
  isSame(node: NodeConnection | undefined, before: NodeConnection | undefined): boolean {
    if (node === before || node === undefined || before === undefined) return node === before;
    const run = this.#runs.get(node);
    return run !== undefined && run === this.#runs.get(before);
  }

  /** Closes the connections to all nodes but these. @param names `host:port` of each */
  keepOnly(names: { has(name: string): boolean }): void {
    for (const [name, node] of this.#nodes) if (!names.has(name)) this.#drop(name, node);
  }

  close(): void {
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
  }

  async #verified(node: NodeConnection): Promise<NodeConnection> {
    if (!this.#suspects.has(node)) return node;
    await assertServing(node);
    this.#suspects.delete(node);
    return node;
  }

  async #open(name: string, address: RedisAddress): Promise<NodeConnection> {
    const node = await this.#connect(address);
    try {
      const [run] = await Promise.all([runOf(node), assertServing(node)]);
      if (run !== undefined) this.#runs.set(node, run);
      this.#upkeep.assertOpen();
    } catch (error) {
      node.close();
      throw error;
    }
    this.#nodes.set(name, node);
    node.onDown((error) => {
      if (this.#nodes.get(name) !== node) return;
      this.#drop(name, node);
      this.#upkeep.broke(error);
    });
    return node;
  }

  async #connect(address: RedisAddress): Promise<NodeConnection> {
    return openMember({ ...this.#login, address });
  }

  #drop(name: string, node: NodeConnection): void {
    this.#nodes.delete(name);
    node.close();
  }
}

/** Rejects with `redis_down` when the node reports a broken cluster: it then refuses commands to keys. */
async function assertServing(node: NodeConnection): Promise<void> {
  const info = asText(await node.command("CLUSTER", "INFO"));
  if (!/^cluster_state:ok/m.test(info)) throw new Fault("redis_down", "the Redis Cluster is not in order");
}
