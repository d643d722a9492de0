import { Fault } from "../../core/fault.ts";
import { withLogin } from "./access.ts";
import type { RedisAccess } from "./access.ts";
import { ClusterNodes } from "./cluster-nodes.ts";
import { readClusterMap, readRedirection } from "./cluster-map.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { isReplyError, outageCode, replyErrorCode, replyText } from "./reply-error.ts";
import type { Argument, Connection } from "./connection.ts";
import type { NodeConnection } from "./node-connection.ts";
import { shownAddress } from "./redis-url.ts";
import type { RedisAddress, RedisUrl } from "./redis-url.ts";
import { hashTag, keyOf, slotOf } from "./slots.ts";
import { Upkeep } from "./upkeep.ts";

export type ClusterUrl = Extract<RedisUrl, { kind: "cluster" }>;

/** Most redirections that a command follows. A slot that keeps moving is an outage. */
const MOST_REDIRECTIONS = 5;

interface Subscription {
  readonly channel: string;
  readonly listener: (message: Buffer) => void;
  /** The node at which it is subscribed. */
  node: NodeConnection | undefined;
}

/**
 * Connections to all masters of a Redis Cluster. It is up while every slot has a connected master.
 * When a master is lost, commands to the others still work.
 */
export class ClusterConnection implements Connection {
  readonly sharded = true;
  readonly #target: ClusterUrl;
  readonly #upkeep: Upkeep;
  readonly #nodes: ClusterNodes;
  readonly #subscriptions: Subscription[] = [];
  /** Nodes to ask for the map of the cluster. */
  #known: readonly RedisAddress[];
  /** Master of each slot. A lost one stays here, closed, until it is replaced. */
  #owners: readonly (NodeConnection | undefined)[] = [];

  constructor(target: ClusterUrl, name: string, access: RedisAccess) {
    this.#target = target;
    this.#known = target.addresses;
    this.#upkeep = new Upkeep(async () => this.#restore());
    const login = { tls: target.tls, access: withLogin(access, target.login), name };
    this.#nodes = new ClusterNodes(login, this.#upkeep);
  }

  /** Rejects with `redis_down` when no node can be reached, or the cluster has no master for some slot. */
  async open(): Promise<void> {
    await this.#upkeep.open();
  }

  get ready(): boolean {
    return this.#upkeep.up;
  }

  async command(...args: Argument[]): Promise<unknown> {
    const slot = slotOf(keyOf(args));
    let sentTo: NodeConnection | undefined;
    for (let redirections = 0; redirections <= MOST_REDIRECTIONS; redirections += 1) {
      const node = sentTo ?? this.#owners[slot];
      if (node === undefined) break;
      try {
        return await (sentTo === undefined ? node.command(...args) : askOnce(node, args));
      } catch (error) {
        sentTo = await this.#redirected(node, error);
      }
    }
    throw new Fault("redis_down", "no master of the Redis Cluster takes this command");
  }

  async everywhere(...args: Argument[]): Promise<unknown[]> {
    const masters = new Set(this.#owners.filter((node) => node !== undefined));
    return Promise.all([...masters].map(async (node) => node.command(...args)));
  }

  async subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    const subscription = { channel, listener, node: undefined };
    this.#subscriptions.push(subscription);
    this.#upkeep.checkAtIntervals();
    try {
      await renew(subscription, this.#owners);
    } catch (error) {
      if (replyErrorCode(error) !== "MOVED") throw error;
      // The check that follows subscribes at the new node.
      await this.#moved(redirection(error));
    }
  }

  serverOf(key: string): string | undefined {
    const owner = this.#owners[slotOf(key)];
    return owner === undefined ? undefined : this.#nodes.runOf(owner);
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#upkeep.onReconnect(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#upkeep.onDown(listener);
  }

  close(): void {
    this.#upkeep.close();
    this.#nodes.close();
  }

  /**
   * Handles an error of a node. Resolves with the node for this one command, when its key has moved already.
   * Resolves with undefined for the master of the slot, which is known by then.
   * Rejects with the error when it is no redirection.
   */
  async #redirected(node: NodeConnection, error: unknown): Promise<NodeConnection | undefined> {
    if (outageCode(error) === "CLUSTERDOWN") {
      this.#nodes.suspect(node);
      this.#upkeep.broke(error);
    }
    const code = isReplyError(error) ? replyErrorCode(error) : "";
    if (code !== "ASK" && code !== "MOVED") throw error;
    const address = redirection(error);
    if (code === "ASK") {
      if (address === undefined) throw new Fault("redis_down", "the slot is on the move", { cause: error });
      return this.#nodes.get(address);
    }
    await this.#moved(address);
    return undefined;
  }

  /** A slot has another master. Reads the map of the cluster, from that master first. */
  async #moved(address: RedisAddress | undefined): Promise<void> {
    if (address !== undefined) this.#askFirst(address);
    await this.#upkeep.check();
  }

  #askFirst(address: RedisAddress): void {
    const name = shownAddress(address);
    this.#known = [address, ...this.#known.filter((other) => shownAddress(other) !== name)];
  }

  async #restore(): Promise<boolean> {
    try {
      return await this.#follow(await this.#readMap());
    } catch (error) {
      // The next attempt asks another node first: this one may be behind the others, or lost.
      this.#known = this.#known.toSorted(() => Math.random() - 0.5);
      throw error;
    }
  }

  async #follow(map: ClusterMap): Promise<boolean> {
    const opened = await Promise.allSettled(
      [...map.masters].map(async ([name, address]) => [name, await this.#nodes.get(address)] as const),
    );
    const failed = opened.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const masters = new Map(
      opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    );
    const owners = map.owners.map((name) => masters.get(name ?? ""));
    if (owners.includes(undefined))
      throw new Fault("redis_down", "a slot of the Redis Cluster has no master");
    for (const subscription of this.#subscriptions) await renew(subscription, owners);
    const moved = owners.some((node, slot) => !this.#nodes.isSame(node, this.#owners[slot]));
    this.#owners = owners;
    this.#known = distinct([...map.members, ...this.#target.addresses]);
    this.#nodes.keepOnly(masters);
    return moved;
  }

  /** Reads the map from the first node that answers. */
  async #readMap(): Promise<ClusterMap> {
    let failure: unknown;
    for (const address of this.#known) {
      try {
        return await this.#nodes.useOnce(address, async (node) =>
          readClusterMap(await node.command("CLUSTER", "SLOTS"), address),
        );
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }
}

/**
 * Subscribes to a channel. A channel with a hash tag needs the master of its slot.
 * Any other channel stays at its present node, or goes to any node.
 */
async function renew(
  subscription: Subscription,
  owners: readonly (NodeConnection | undefined)[],
): Promise<void> {
  const { channel, listener, node } = subscription;
  const owner = owners[slotOf(channel)];
  const isCurrent = node?.ready === true && (node === owner || hashTag(channel) === undefined);
  if (isCurrent || owner === undefined) return;
  await owner.subscribeInCluster(channel, listener);
  subscription.node = owner;
}

function distinct(addresses: readonly RedisAddress[]): readonly RedisAddress[] {
  return [...new Map(addresses.map((address) => [shownAddress(address), address])).values()];
}

/** Sends one command to a node that is about to become the master of a slot. */
async function askOnce(node: NodeConnection, args: readonly Argument[]): Promise<unknown> {
  const [, reply] = await Promise.all([node.command("ASKING"), node.command(...args)]);
  return reply;
}

function redirection(error: unknown): RedisAddress | undefined {
  return readRedirection(replyText(error));
}
