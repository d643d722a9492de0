import { Fault } from "../core/fault.ts";
import { withLogin } from "./access.ts";
import type { RedisAccess } from "./access.ts";
import { outageCode } from "./reply-error.ts";
import type { Argument, Connection } from "./connection.ts";
import { openMember } from "./node-connection.ts";
import type { NodeConnection } from "./node-connection.ts";
import { shownAddress } from "./place.ts";
import type { Address, Place } from "./place.ts";
import { asArray, asText } from "./replies.ts";
import { runOf } from "./server.ts";
import { Upkeep } from "./upkeep.ts";

export type SentinelPlace = Extract<Place, { kind: "sentinel" }>;

interface Subscription {
  readonly channel: string;
  readonly listener: (message: Buffer) => void;
}

/** Sentinels tell on this channel that another server is master now. */
const SWITCHED = "+switch-master";

/**
 * A connection to the master that the sentinels name. When it breaks, the server says that it is none any more, or a
 * sentinel tells of another one, the sentinels are asked again (Redis's "Guidelines for Redis clients with support for
 * Redis Sentinel").
 */
export class SentinelConnection implements Connection {
  readonly sharded = false;
  readonly #place: SentinelPlace;
  readonly #name: string;
  readonly #access: RedisAccess;
  readonly #sentinelAccess: RedisAccess;
  readonly #subscriptions: Subscription[] = [];
  readonly #upkeep: Upkeep;
  /** The sentinel that answered last comes first. */
  #sentinels: readonly Address[];
  #master: NodeConnection | undefined;
  /** Of the master; empty when it is not connected. */
  #address = "";
  /** Of the last master that was connected; undefined when it did not tell. */
  #run: string | undefined;
  /** To a sentinel, to hear of a new master: after a planned failover the old one goes on as if it were one. */
  #watch: NodeConnection | undefined;

  /** @param access to the servers and, but for user and password, to the sentinels */
  constructor(place: SentinelPlace, name: string, access: RedisAccess) {
    this.#place = place;
    this.#name = name;
    this.#access = withLogin(access, place.login);
    const { credentials: _ofServers, ...tls } = access;
    this.#sentinelAccess = withLogin(tls, place.sentinelLogin);
    this.#sentinels = place.addresses;
    this.#upkeep = new Upkeep(async () => this.#restore());
  }

  /** Rejects with `redis_down` when no sentinel can be reached, or the master cannot. */
  async open(): Promise<void> {
    await this.#upkeep.open();
    this.#upkeep.lookNowAndThen();
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
      // It became a replica: Sentinel cuts its connections, but one made in that moment may have stayed.
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
      // A master that is there serves without sentinels.
      if (connected && this.#address !== "") return false;
      throw error;
    }
  }

  async #goTo(address: Address): Promise<boolean> {
    const { tls, database } = this.#place;
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

  /** True when it is another server than before, or was started again. */
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

  /** The first sentinel that knows the master tells where it is. */
  async #askSentinels(): Promise<Address> {
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

  async #ask(sentinel: Address): Promise<Address> {
    const { tls, master } = this.#place;
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

  /** Keeps the connection to a sentinel that knows the master, to hear when it names another. */
  async #watchBy(sentinel: NodeConnection): Promise<void> {
    const stop = (): void => {
      sentinel.close();
      if (this.#watch === sentinel) this.#watch = undefined;
    };
    await sentinel.subscribe(SWITCHED, () => {
      stop();
      this.#upkeep.look().catch(() => undefined);
    });
    this.#upkeep.assertOpen();
    sentinel.onDown(stop);
    this.#watch?.close();
    this.#watch = sentinel;
  }
}

/** Sentinel may be late: a replica is none, and a master that loads its data is none yet. */
async function assertMaster(connection: NodeConnection): Promise<void> {
  const [role] = asArray(await connection.command("ROLE"));
  await connection.command("PING");
  if (asText(role) !== "master") throw new Fault("redis_down", "this Redis is no master");
}
