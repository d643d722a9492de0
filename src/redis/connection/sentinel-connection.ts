import { Fault } from "../../core/fault.ts";
import { withLogin } from "./access.ts";
import type { RedisAccess } from "./access.ts";
import { outageCode } from "./reply-error.ts";
import type { Argument, Connection } from "./connection.ts";
import type { NodeConnection } from "./node-connection.ts";
import { openMember } from "./open-node.ts";
import { shownAddress } from "./redis-url.ts";
import type { RedisAddress, RedisUrl } from "./redis-url.ts";
import { asArray, asText } from "./resp.ts";
import { runOf } from "./server.ts";
import { Upkeep } from "./upkeep.ts";

export type SentinelUrl = Extract<RedisUrl, { kind: "sentinel" }>;

interface Subscription {
  readonly channel: string;
  readonly listener: (message: Buffer) => void;
}

/** Channel on which sentinels announce a new master. */
const SWITCHED = "+switch-master";

/**
 * A connection to the master that the sentinels name. The sentinels are asked again in three cases.
 * The connection breaks, the server reports that it is no master, or a sentinel announces another one.
 * See Redis's "Guidelines for Redis clients with support for Redis Sentinel".
 */
export class SentinelConnection implements Connection {
  readonly sharded = false;
  readonly #target: SentinelUrl;
  readonly #name: string;
  readonly #access: RedisAccess;
  readonly #sentinelAccess: RedisAccess;
  readonly #subscriptions: Subscription[] = [];
  readonly #upkeep: Upkeep;
  /** The sentinel that answered last comes first. */
  #sentinels: readonly RedisAddress[];
  #master: NodeConnection | undefined;
  /** Address of the master; empty while it is not connected. */
  #address = "";
  /** Run of the last connected master; undefined when it did not report one. */
  #run: string | undefined;
  /** Connection to a sentinel that announces a new master. After a planned failover the old master stays up. */
  #watch: NodeConnection | undefined;

  /** @param access for the servers. The sentinels share its certificates, but not its user and password. */
  constructor(target: SentinelUrl, name: string, access: RedisAccess) {
    this.#target = target;
    this.#name = name;
    this.#access = withLogin(access, target.login);
    const { credentials: _ofServers, ...tls } = access;
    this.#sentinelAccess = withLogin(tls, target.sentinelLogin);
    this.#sentinels = target.addresses;
    this.#upkeep = new Upkeep(async () => this.#restore());
  }

  /** Rejects with `redis_down` when no sentinel or not the master can be reached. */
  async open(): Promise<void> {
    await this.#upkeep.open();
    this.#upkeep.checkAtIntervals();
  }

  get ready(): boolean {
    return this.#upkeep.up;
  }

  async command(...args: Argument[]): Promise<unknown> {
    const master = this.#master;
    if (master === undefined) throw new Fault("redis_down", "Redis is not connected");
    try {
      return await master.command(...args);
    } catch (error) {
      // It became a replica. Sentinel cuts its connections, but a connection made at that moment may survive.
      if (outageCode(error) === "READONLY") this.#lost(master, error);
      throw error;
    }
  }

  async everywhere(...args: Argument[]): Promise<unknown[]> {
    return [await this.command(...args)];
  }

  async subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    this.#subscriptions.push({ channel, listener });
    await this.#master?.subscribe(channel, listener);
  }

  serverOf(): string | undefined {
    return this.#run;
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#upkeep.onReconnect(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#upkeep.onDown(listener);
  }

  close(): void {
    this.#upkeep.close();
    this.#watch?.close();
    this.#master?.close();
  }

  #lost(master: NodeConnection, error: unknown): void {
    if (master !== this.#master) return;
    this.#master = undefined;
    this.#address = "";
    master.close();
    this.#upkeep.broke(error);
  }

  async #restore(): Promise<boolean> {
    const connected = this.#address !== "";
    if (connected && this.#watch !== undefined) return false;
    try {
      const address = await this.#askSentinels();
      return shownAddress(address) === this.#address ? false : await this.#goTo(address);
    } catch (error) {
      // A connected master serves without sentinels.
      if (connected && this.#address !== "") return false;
      throw error;
    }
  }

  async #goTo(address: RedisAddress): Promise<boolean> {
    const { tls, database } = this.#target;
    const master = await openMember({ address, tls, access: this.#access, database, name: this.#name });
    let run: string | undefined;
    try {
      [run] = await Promise.all([runOf(master), assertMaster(master)]);
      for (const { channel, listener } of this.#subscriptions) await master.subscribe(channel, listener);
      this.#upkeep.assertOpen();
    } catch (error) {
      master.close();
      throw error;
    }
    return this.#take(master, shownAddress(address), run);
  }

  /** Switches to a master. Returns true when it is another server than before, or a restarted one. */
  #take(master: NodeConnection, address: string, run: string | undefined): boolean {
    const moved = run === undefined || run !== this.#run;
    this.#master?.close();
    this.#master = master;
    this.#address = address;
    this.#run = run;
    master.onDown((error) => {
      this.#lost(master, error);
    });
    return moved;
  }

  /** Asks the sentinels in turn for the address of the master. */
  async #askSentinels(): Promise<RedisAddress> {
    let failure: unknown;
    for (const sentinel of this.#sentinels) {
      try {
        const address = await this.#ask(sentinel);
        this.#sentinels = [sentinel, ...this.#sentinels.filter((other) => other !== sentinel)];
        return address;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #ask(sentinel: RedisAddress): Promise<RedisAddress> {
    const { tls, master } = this.#target;
    const access = this.#sentinelAccess;
    const connection = await openMember({ address: sentinel, tls, access, name: this.#name });
    try {
      const reply = await connection.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master);
      const [host, port] = asArray(reply).map(asText);
      if (host === undefined) throw new Fault("internal", `its sentinels know no master ${master}`);
      await this.#watchBy(connection);
      return { host, port: Number(port) };
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Keeps a connection to a sentinel, which announces the next master. */
  async #watchBy(sentinel: NodeConnection): Promise<void> {
    const stop = (): void => {
      sentinel.close();
      if (this.#watch === sentinel) this.#watch = undefined;
    };
    await sentinel.subscribe(SWITCHED, () => {
      stop();
      this.#upkeep.check().catch(() => undefined);
    });
    this.#upkeep.assertOpen();
    sentinel.onDown(stop);
    this.#watch?.close();
    this.#watch = sentinel;
  }
}

/** Rejects with `redis_down` for a replica, or a master that loads its data: Sentinel may be late. */
async function assertMaster(connection: NodeConnection): Promise<void> {
  const [role] = asArray(await connection.command("ROLE"));
  await connection.command("PING");
  if (asText(role) !== "master") throw new Fault("redis_down", "this Redis is no master");
}
