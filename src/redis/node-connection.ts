import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "redis";
import type { RedisClientOptions, RedisFunctions, RedisModules, RedisScripts } from "redis";
import { Fault } from "../core/fault.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import { withoutUser } from "./access.ts";
import type { RedisAccess } from "./access.ts";
import { isReplyError, outageCode } from "./reply-error.ts";
import type { Argument, Connection } from "./connection.ts";
import { downFault, refusedReply } from "./outages.ts";
import { forgiveOwnStalls } from "./patient-sockets.ts";
import type { Address } from "./place.ts";
import { runOf } from "./server.ts";
import { hashTag } from "./slots.ts";

const BLOB_STRING = 36;

/** A frozen Redis is noticed after this many ms without a byte; the longest blocking command is 1.5 s. */
const SILENCE_MS = 5000;

/** As above, for one of several: another may have taken over by then. */
const MEMBER_SILENCE_MS = 3000;

/** A server that is one of several gets this long to connect and to shake hands, ms: another may be better. */
const HANDSHAKE_MS = 1500;

/** A Redis that loads its data is asked again after this, ms. */
const LOADING_PAUSE_MS = 100;

/** A connection to one server. */
export interface NodeConnection extends Connection {
  /** Where it is a node of a Redis Cluster: a channel that has a hash tag is heard within its slot only. */
  subscribeInCluster(channel: string, listener: (message: Buffer) => void): Promise<void>;
}

/**
 * Opens a connection to one server, which is made again by itself when it breaks.
 * @param url redis://, rediss:// or unix:///path/to/socket
 * @param name shown in Redis's CLIENT LIST
 * @param access certificates, and user and password; the latter as in the URL when absent
 * Rejects with `redis_down` when Redis cannot be reached at this moment.
 */
export async function openOne(url: string, name: string, access: RedisAccess): Promise<NodeConnection> {
  const common = commonOptions(name, access);
  const socket = { socketTimeout: SILENCE_MS, connectTimeout: SILENCE_MS, reconnectStrategy };
  if (url.startsWith("unix://")) {
    return remembered({ ...common, socket: { ...socket, path: url.slice(7), tls: false } });
  }
  // A URL's own user and password would win over those that are set.
  const place = access.credentials === undefined ? url : withoutUser(url);
  return remembered({ ...common, url: place, socket: { ...socket, ...access.tls, noDelay: true } });
}

async function remembered(options: Options): Promise<NodeConnection> {
  const connection = await opened(options);
  void connection.rememberRun();
  return connection;
}

/** One server of several, and how to come in. */
export interface Server {
  readonly address: Address;
  readonly tls: boolean;
  readonly access: RedisAccess;
  readonly database?: number;
  readonly name: string;
}

/**
 * Opens a connection that stays down when it breaks: who opened it finds out which server is next.
 * Rejects with `redis_down` when the server does not answer soon.
 */
export async function openMember(server: Server): Promise<NodeConnection> {
  const { address, tls, access, database = 0, name } = server;
  const limits = {
    socketTimeout: MEMBER_SILENCE_MS,
    connectTimeout: HANDSHAKE_MS,
    reconnectStrategy: false as const,
  };
  const socket = { ...address, ...limits, noDelay: true };
  const options = { ...commonOptions(name, access), database };
  if (!tls) return opened({ ...options, socket: { ...socket, tls } }, HANDSHAKE_MS);
  return opened({ ...options, socket: { ...socket, ...access.tls, tls } }, HANDSHAKE_MS);
}

/**
 * Never connected, only copied: `createClient` builds a class of all commands for each new set of options, which
 * costs 20 MB of garbage and 30 ms per connection; a duplicate shares the class.
 * RESP 2: replies are plain arrays, whatever the server's version.
 */
const template = createClient<RedisModules, RedisFunctions, RedisScripts, 2>({ RESP: 2 });

type Options = RedisClientOptions<RedisModules, RedisFunctions, RedisScripts, 2>;

function commonOptions(name: string, { credentials }: RedisAccess): Options {
  // A command timeout would cost an AbortSignal per command: 19 instead of 4 us each (PROTOCOL.md, trap 2).
  const commandOptions = { timeout: 0, typeMapping: { [BLOB_STRING]: Buffer } };
  return {
    name,
    disableOfflineQueue: true,
    // CLIENT SETINFO is new in 7.2: a user of an older Redis cannot be given the right to it.
    disableClientInfo: true,
    pingInterval: 1000,
    commandOptions,
    // In the way the client wants them.
    ...(credentials && { credentialsProvider: { type: "async-credentials-provider" as const, credentials } }),
  };
}

function reconnectStrategy(retries: number): number {
  return Math.min(20 * 2 ** retries, 500) * (0.75 + Math.random() / 2);
}

async function opened(options: Options, limitMs?: number): Promise<ClientConnection> {
  forgiveOwnStalls();
  const connection = new ClientConnection(
    template.duplicate(options),
    options.socket?.reconnectStrategy === false,
  );
  try {
    await connection.open(limitMs);
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}

type Client = ReturnType<typeof template.duplicate>;

class ClientConnection implements NodeConnection {
  readonly sharded = false;
  readonly #client: Client;
  readonly #onReconnect: ((moved: boolean) => void)[] = [];
  readonly #onDown: ((error: unknown) => void)[] = [];
  readonly #staysDown: boolean;
  #opened = false;
  #closed = false;
  /** It has answered a ping with an error since it was well. */
  #unwell = false;
  /** One that listens can ask nothing (RESP 2). */
  #listens = false;
  /** Of the server it leads to; undefined when nobody knows. */
  #run: string | undefined;
  /** The search that began at the latest reconnect, while it lasts. */
  #search: symbol | undefined;

  /** @param staysDown whether it is not to be made again when it breaks */
  constructor(client: Client, staysDown: boolean) {
    this.#client = client;
    this.#staysDown = staysDown;
    // Every failed (re)connect is an error event; what matters to us is up or down.
    client.on("error", (error) => {
      if (client.isReady) this.#stumbled(error);
      this.#down(error);
    });
    client.on("ping-interval", () => {
      this.#wellAgain();
    });
    client.on("sharded-channel-moved", () => {
      this.#down(new Fault("redis_down", "a channel has moved to another node"));
    });
    client.on("ready", () => {
      if (this.#opened) void this.#find();
    });
  }

  /** @param limitMs the longest time to wait; absent: as long as the system tries */
  async open(limitMs?: number): Promise<void> {
    const failed = Promise.withResolvers<never>();
    const onError = (error: unknown): void => {
      failed.reject(new Fault("redis_down", "Redis cannot be reached", { cause: error }));
    };
    if (limitMs !== undefined) ownStalls.signal(limitMs).addEventListener("abort", onError);
    this.#client.once("error", onError);
    const opening = this.#client.connect();
    opening.catch(onError);
    await Promise.race([opening, failed.promise]);
    this.#client.off("error", onError);
    this.#opened = true;
  }

  /** Asks which run of the server it is, for the next reconnect. Never rejects. */
  async rememberRun(): Promise<void> {
    const run = await runOf(this);
    this.#run ??= run;
  }

  get ready(): boolean {
    return this.#client.isReady && this.#search === undefined;
  }

  async command(...args: Argument[]): Promise<unknown> {
    if (!this.ready) throw downFault("Redis is not connected");
    return this.#send(args);
  }

  async #send(args: Argument[]): Promise<unknown> {
    try {
      return await this.#client.sendCommand(args);
    } catch (error) {
      throw told(error, nameOf(args));
    }
  }

  async everywhere(...args: Argument[]): Promise<unknown[]> {
    return [await this.command(...args)];
  }

  async subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    this.#listens = true;
    await hearing("SUBSCRIBE", this.#client.subscribe(channel, listener, true));
  }

  async subscribeInCluster(channel: string, listener: (message: Buffer) => void): Promise<void> {
    this.#listens = true;
    if (hashTag(channel) === undefined)
      await hearing("SUBSCRIBE", this.#client.subscribe(channel, listener, true));
    else await hearing("SSUBSCRIBE", this.#client.sSubscribe(channel, listener, true));
  }

  serverOf(): string | undefined {
    return this.#run;
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#onReconnect.push(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#onDown.push(listener);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.destroy();
  }

  /**
   * After a reconnect: it is up when the server has its data and says which run it is. Before that nothing may be
   * claimed: a server that was started again may have lost what was removed last.
   */
  async #find(): Promise<void> {
    const search = Symbol();
    this.#search = search;
    let run: string | undefined;
    if (!this.#listens) {
      const asked = { command: async (...args: Argument[]) => this.#send(args) };
      run = await runOf(asked);
      while (this.#search === search && (await this.#loads())) await delay(LOADING_PAUSE_MS);
    }
    // Else it broke again, and a later search tells, or the next one will.
    if (this.#search !== search || !this.#client.isReady) return;
    this.#search = undefined;
    this.#unwell = false;
    const moved = run === undefined || run !== this.#run;
    this.#run = run;
    for (const listener of this.#onReconnect) listener(moved);
  }

  /**
   * The client tells of an error, and its socket is sound: a ping was answered with an error, or a reply came that
   * nobody waits for. The client then drops what it has read and takes pushed messages for replies from then on, so
   * that no reply can be told from another any more.
   */
  #stumbled(over: unknown): void {
    if (isReplyError(over)) {
      this.#unwell = true;
      return;
    }
    this.#client.destroy();
    // A failed attempt is an error event, too.
    if (!this.#staysDown) this.#client.connect().catch(() => undefined);
  }

  #wellAgain(): void {
    if (!this.#unwell || !this.ready) return;
    this.#unwell = false;
    for (const listener of this.#onReconnect) listener(false);
  }

  /** False also when the connection broke. */
  async #loads(): Promise<boolean> {
    try {
      await this.#send(["PING"]);
      return false;
    } catch (error) {
      const loads = outageCode(error) === "LOADING";
      if (loads) this.#down(error);
      return loads;
    }
  }

  #down(error: unknown): void {
    if (this.#closed || !this.#opened) return;
    for (const listener of this.#onDown) listener(error);
  }
}

/** The failure of a command, in our own words. */
function told(error: unknown, command: string): Error {
  return isReplyError(error)
    ? refusedReply(error, command)
    : downFault("the connection to Redis broke", error);
}

async function hearing(command: string, subscribed: Promise<void>): Promise<void> {
  try {
    await subscribed;
  } catch (error) {
    throw told(error, command);
  }
}

/** Commands that are named by two words. */
const CONTAINERS: ReadonlySet<string> = new Set(["ACL", "CLIENT", "CLUSTER", "FUNCTION", "XGROUP", "XINFO"]);

/** The name of a command, without what may be a key or a secret. */
function nameOf([command = "", subcommand = ""]: readonly Argument[]): string {
  const [name, second] = [String(command), String(subcommand)];
  return CONTAINERS.has(name) && /^[A-Z]+$/.test(second) ? `${name} ${second}` : name;
}
