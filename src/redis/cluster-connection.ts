import { Fault } from "../core/fault.ts";
import { withLogin } from "./access.ts";
import type { RedisAccess } from "./access.ts";
import { readClusterMap, readRedirection } from "./cluster-map.ts";
import type { ClusterMap } from "./cluster-map.ts";
import { isReplyError, outageCode, replyErrorCode, replyText } from "./reply-error.ts";
import type { Argument, Connection } from "./connection.ts";
import { openMember } from "./node-connection.ts";
import type { NodeConnection } from "./node-connection.ts";
import { shownAddress } from "./place.ts";
import type { Address, Place } from "./place.ts";
import { asText } from "./replies.ts";
import { runOf } from "./server.ts";
import { hashTag, keyOf, slotOf } from "./slots.ts";
import { Upkeep } from "./upkeep.ts";

export type ClusterPlace = Extract<Place, { kind: "cluster" }>;

/** A command follows at most so many redirections in a row: a slot that moves on and on is an outage. */
const MOST_REDIRECTIONS = 5;

interface Subscription {
  readonly channel: string;
  readonly listener: (message: Buffer) => void;
  /** Where it is heard. */
  node: NodeConnection | undefined;
}

/**
 * Connections to all masters of a Redis Cluster. It is up while every slot has a master that is connected; when one is
 * lost, commands to the others still work.
 */
export class ClusterConnection implements Connection {
  readonly sharded = true;
  readonly #place: ClusterPlace;
  readonly #name: string;
  readonly #access: RedisAccess;
  readonly #upkeep: Upkeep;
  readonly #nodes = new Map<string, NodeConnection>();
  readonly #opening = new Map<string, Promise<NodeConnection>>();
  readonly #subscriptions: Subscription[] = [];
  /** Masters that took the cluster for broken: they say that it is in order before it counts as up again. */
  readonly #doubted = new WeakSet<NodeConnection>();
  /** Nodes that may know the map of the cluster. */
  #known: readonly Address[];
  /** Master of each slot; one that was lost stays here, closed, until it is replaced. */
  #owners: readonly (NodeConnection | undefined)[] = [];
  /** Which run of its server each leads to, where that told. */
  readonly #runs = new WeakMap<NodeConnection, string>();

  constructor(place: ClusterPlace, name: string, access: RedisAccess) {
    this.#place = place;
    this.#name = name;
    this.#access = withLogin(access, place.login);
    this.#known = place.addresses;
    this.#upkeep = new Upkeep(async () => this.#restore());
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
    this.#upkeep.lookNowAndThen();
    try {
      await hear(subscription, this.#owners);
    } catch (error) {
      if (replyErrorCode(error) !== "MOVED") throw error;
      // The look that follows hears it where it is now.
      await this.#moved(redirection(error));
    }
  }

  serverOf(key: string): string | undefined {
    const owner = this.#owners[slotOf(key)];
    return owner === undefined ? undefined : this.#runs.get(owner);
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#upkeep.onReconnect(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#upkeep.onDown(listener);
  }

  close(): void {
    this.#upkeep.close();
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
  }

  /**
   * Whom to ask for this one command, when the key is already at the new master of a slot that is being moved; undefined
   * for the slot's master, who is found out first. Rejects with the error when it is no redirection.
   */
  async #redirected(node: NodeConnection, error: unknown): Promise<NodeConnection | undefined> {
    if (outageCode(error) === "CLUSTERDOWN") {
      this.#doubted.add(node);
      this.#upkeep.broke(error);
    }
    const code = isReplyError(error) ? replyErrorCode(error) : "";
    if (code !== "ASK" && code !== "MOVED") throw error;
    const address = redirection(error);
    if (code === "ASK") {
      if (address === undefined) throw new Fault("redis_down", "the slot is on the move", { cause: error });
      return this.#node(address);
    }
    await this.#moved(address);
    return undefined;
  }

  /** A slot has another master: whoever has it is found out first. */
  async #moved(address: Address | undefined): Promise<void> {
    if (address !== undefined) this.#askFirst(address);
    await this.#upkeep.look();
  }

  #askFirst(address: Address): void {
    const name = shownAddress(address);
    this.#known = [address, ...this.#known.filter((other) => shownAddress(other) !== name)];
  }

  async #restore(): Promise<boolean> {
    try {
      return await this.#follow(await this.#readMap());
    } catch (error) {
      // Next time another node is asked first: this one may be behind the others, or gone.
      this.#known = this.#known.toSorted(() => Math.random() - 0.5);
      throw error;
    }
  }

  async #follow(map: ClusterMap): Promise<boolean> {
    const opened = await Promise.allSettled(
      [...map.masters].map(async ([name, address]) => [name, await this.#node(address)] as const),
    );
    const failed = opened.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const masters = new Map(
      opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    );
    const owners = map.owners.map((name) => masters.get(name ?? ""));
    if (owners.includes(undefined))
      throw new Fault("redis_down", "a slot of the Redis Cluster has no master");
    for (const subscription of this.#subscriptions) await hear(subscription, owners);
    const moved = owners.some((node, slot) => !this.#isSame(node, this.#owners[slot]));
    this.#owners = owners;
    this.#known = distinct([...map.members, ...this.#place.addresses]);
    for (const [name, node] of this.#nodes) if (!masters.has(name)) this.#drop(name, node);
    return moved;
  }

  /** One that was started again under its address is another one. */
  #isSame(node: NodeConnection | undefined, before: NodeConnection | undefined): boolean {
    if (node === before || node === undefined || before === undefined) return node === before;
    const run = this.#runs.get(node);
    return run !== undefined && run === this.#runs.get(before);
  }

  /** The first node that answers tells. A new connection each: those of masters may be blocked, or only listen. */
  async #readMap(): Promise<ClusterMap> {
    let failure: unknown;
    for (const address of this.#known) {
      try {
        return await this.#askForMap(address);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #askForMap(address: Address): Promise<ClusterMap> {
    const node = await this.#connect(address);
    try {
      await assertServing(node);
      return readClusterMap(await node.command("CLUSTER", "SLOTS"), address);
    } finally {
      node.close();
    }
  }

  async #node(address: Address): Promise<NodeConnection> {
    const name = shownAddress(address);
    const node = this.#nodes.get(name);
    if (node !== undefined) return this.#trusted(node);
    let opening = this.#opening.get(name);
    if (opening === undefined) {
      opening = this.#open(name, address).finally(() => this.#opening.delete(name));
      this.#opening.set(name, opening);
    }
    return opening;
  }

  async #trusted(node: NodeConnection): Promise<NodeConnection> {
    if (!this.#doubted.has(node)) return node;
    await assertServing(node);
    this.#doubted.delete(node);
    return node;
  }

  async #open(name: string, address: Address): Promise<NodeConnection> {
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

  async #connect(address: Address): Promise<NodeConnection> {
    return openMember({ address, tls: this.#place.tls, access: this.#access, name: this.#name });
  }

  #drop(name: string, node: NodeConnection): void {
    this.#nodes.delete(name);
    node.close();
  }
}

/** A channel with a hash tag is heard at the master of its slot, any other where it is heard already, or anywhere. */
async function hear(
  subscription: Subscription,
  owners: readonly (NodeConnection | undefined)[],
): Promise<void> {
  const { channel, listener, node } = subscription;
  const owner = owners[slotOf(channel)];
  const heard = node?.ready === true && (node === owner || hashTag(channel) === undefined);
  if (heard || owner === undefined) return;
  await owner.subscribeInCluster(channel, listener);
  subscription.node = owner;
}

function distinct(addresses: readonly Address[]): readonly Address[] {
  return [...new Map(addresses.map((address) => [shownAddress(address), address])).values()];
}

/** Asks a node that is about to become the master of a slot. */
async function askOnce(node: NodeConnection, args: readonly Argument[]): Promise<unknown> {
  const [, reply] = await Promise.all([node.command("ASKING"), node.command(...args)]);
  return reply;
}

function redirection(error: unknown): Address | undefined {
  return readRedirection(replyText(error));
}

/** A node that takes the cluster for broken refuses commands to keys. */
async function assertServing(node: NodeConnection): Promise<void> {
  const info = asText(await node.command("CLUSTER", "INFO"));
  if (!/^cluster_state:ok/m.test(info)) throw new Fault("redis_down", "the Redis Cluster is not in order");
}
