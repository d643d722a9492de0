import { readGatewayAnnouncement, readWorkerAnnouncement } from "../core/announcement.ts";
import type { GatewayAnnouncement, WorkerAnnouncement } from "../core/fleet.ts";
import { isObject } from "../core/json.ts";
import { queuesOf } from "../core/ability.ts";
import { unlessMistyped } from "./connection/connection.ts";
import type { Connection } from "./connection/connection.ts";
import type { Keys } from "./keys.ts";
import { asArray, asJson, asText } from "./connection/resp.ts";
import { TaskQueue } from "./task-queue.ts";

/** Life of an announcement, ms. */
export const PRESENCE_MS = 15_000;

/** Interval between two announcements of a process, ms. */
export const ANNOUNCE_MS = 3000;

/** Largest announcement that is read, bytes. A worker announces 8 MiB of models at most. */
const MOST_ANNOUNCED_BYTES = 16 * 1024 * 1024;

function serverIn(announcement: unknown): string | undefined {
  const server = isObject(announcement) ? announcement["server"] : undefined;
  return typeof server === "string" ? server : undefined;
}

/**
 * The workers, gateways and models of the fleet.
 * Processes announce themselves, and their announcements expire when they fall silent.
 */
export class Registry {
  readonly #connection: Connection;
  readonly #keys: Keys;
  readonly #queue: TaskQueue;

  constructor(connection: Connection, keys: Keys) {
    this.#connection = connection;
    this.#keys = keys;
    this.#queue = new TaskQueue(connection, keys);
  }

  /** Calls the listener after a worker came, left or changed. */
  async onFleetChange(listener: () => void): Promise<void> {
    await this.#connection.subscribe(this.#keys.fleet(), listener);
  }

  /** Writes a worker's announcement. Notifies all gateways when `news` is true. */
  async announceWorker(worker: WorkerAnnouncement, news: boolean): Promise<void> {
    const now = String(worker.seenAt);
    const models = [...new Set(worker.backends.flatMap((backend) => backend.models.flatMap(queuesOf)))];
    const commands = [
      this.#connection.command(
        "SET",
        this.#keys.worker(worker.id),
        JSON.stringify(worker),
        "PX",
        String(PRESENCE_MS),
      ),
      this.#connection.command("ZADD", this.#keys.workers(), now, worker.id),
    ];
    if (models.length > 0) {
      commands.push(
        this.#connection.command("ZADD", this.#keys.models(), ...models.flatMap((model) => [now, model])),
      );
    }
    if (news) commands.push(this.#connection.command("PUBLISH", this.#keys.fleet(), "worker"));
    await Promise.all(commands);
  }

  /** Renews the announcement of a worker, if it has not expired. */
  async prolongWorker(id: string): Promise<void> {
    await this.#connection.command("PEXPIRE", this.#keys.worker(id), String(PRESENCE_MS));
  }

  async forgetWorker(id: string): Promise<void> {
    await Promise.all([
      this.#connection.command("DEL", this.#keys.worker(id)),
      this.#connection.command("ZREM", this.#keys.workers(), id),
      this.#connection.command("PUBLISH", this.#keys.fleet(), "worker"),
    ]);
  }

  async announceGateway(gateway: GatewayAnnouncement): Promise<void> {
    await Promise.all([
      this.#connection.command(
        "SET",
        this.#keys.gateway(gateway.tag),
        JSON.stringify(gateway),
        "PX",
        String(PRESENCE_MS),
      ),
      this.#connection.command("ZADD", this.#keys.gateways(), String(gateway.seenAt), gateway.tag),
    ]);
  }

  /** Lets workers run tasks of a tag that is no gateway of the fleet, for one announcement period. */
  async announceTag(tag: string): Promise<void> {
    await this.#connection.command("SET", this.#keys.gateway(tag), "{}", "PX", String(PRESENCE_MS));
  }

  async forgetGateway(tag: string): Promise<void> {
    await Promise.all([
      this.#connection.command("DEL", this.#keys.gateway(tag)),
      this.#connection.command("ZREM", this.#keys.gateways(), tag),
    ]);
  }

  /** Filters gateway tags: keeps the live ones. */
  async gatewaysAlive(tags: readonly string[]): Promise<Set<string>> {
    const found = await Promise.all(
      tags.map(async (tag) => this.#connection.command("EXISTS", this.#keys.gateway(tag))),
    );
    return new Set(tags.filter((_tag, index) => found[index] === 1));
  }

  /**
   * Finds the live gateways among tags. The value is the run of the Redis server that has all their removals
   * (`server` of an announcement). It is undefined for a gateway that does not announce one.
   */
  async serversOfGateways(tags: readonly string[]): Promise<Map<string, string | undefined>> {
    const found = await Promise.all(
      tags.map(async (tag) => unlessMistyped(this.#connection.command("GET", this.#keys.gateway(tag)))),
    );
    return new Map(
      tags.flatMap((tag, index) => {
        const value = found[index];
        return value === null ? [] : [[tag, serverIn(asJson(value))] as const];
      }),
    );
  }

  /** All live workers. */
  async listWorkers(): Promise<WorkerAnnouncement[]> {
    const values = await this.#readMembers(this.#keys.workers(), (id) => this.#keys.worker(id));
    return values.flatMap((value) => readWorkerAnnouncement(value) ?? []);
  }

  /** All live gateways. */
  async listGateways(): Promise<GatewayAnnouncement[]> {
    const values = await this.#readMembers(this.#keys.gateways(), (tag) => this.#keys.gateway(tag));
    return values.flatMap((value) => readGatewayAnnouncement(value) ?? []);
  }

  /** Model keys that a worker served at or after `since` (ms since 1970). */
  async rememberedModels(since: number): Promise<Set<string>> {
    const reply = await this.#connection.command("ZRANGEBYSCORE", this.#keys.models(), String(since), "+inf");
    return new Set(asArray(reply).map(asText));
  }

  /**
   * Removes expired workers, expired gateways and old models from the indexes. A model is old when its queue is empty
   * and no worker served it after `since` (ms since 1970). Readers skip them too, but need no right to write.
   */
  async removeUnserved(since: number): Promise<void> {
    await Promise.all([
      this.#dropSilent(this.#keys.workers(), (id) => this.#keys.worker(id)),
      this.#dropSilent(this.#keys.gateways(), (tag) => this.#keys.gateway(tag)),
      this.#dropOldModels(since),
    ]);
  }

  /** Keeps models whose queue is not empty. A worker that returns at this moment enters its models again. */
  async #dropOldModels(since: number): Promise<void> {
    const reply = await this.#connection.command("ZRANGEBYSCORE", this.#keys.models(), "-inf", `(${since}`);
    const old = asArray(reply).map(asText);
    const lengths = await Promise.all(old.map(async (model) => this.#queue.length(model)));
    const empty = old.filter((_model, position) => lengths[position] === 0);
    if (empty.length > 0) await this.#connection.command("ZREM", this.#keys.models(), ...empty);
  }

  async #dropSilent(index: string, keyOf: (member: string) => string): Promise<void> {
    const members = asArray(await this.#connection.command("ZRANGE", index, "0", "-1")).map(asText);
    const found = await Promise.all(
      members.map(async (member) => this.#connection.command("EXISTS", keyOf(member))),
    );
    const silent = members.filter((_member, position) => found[position] === 0);
    if (silent.length > 0) await this.#connection.command("ZREM", index, ...silent);
  }

  async #readMembers(index: string, keyOf: (member: string) => string): Promise<unknown[]> {
    const members = asArray(await this.#connection.command("ZRANGE", index, "0", "-1")).map(asText);
    const values = await Promise.all(
      members.map(async (member) => unlessMistyped(this.#connection.command("GET", keyOf(member)))),
    );
    return values
      .filter((value) => Buffer.isBuffer(value))
      .filter(({ length }) => length <= MOST_ANNOUNCED_BYTES)
      .map((value) => asJson(value));
  }
}
