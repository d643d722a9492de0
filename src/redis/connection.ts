import { createClient, ErrorReply } from "redis";
import type { RedisClientOptions, RedisFunctions, RedisModules, RedisScripts } from "redis";
import { Fault } from "../core/fault.ts";
import { withoutUser } from "./access.ts";
import type { RedisAccess } from "./access.ts";

export type Argument = string | Buffer;

/**
 * One connection to Redis that says whether it is up. Commands are pipelined per event-loop turn. Nothing is
 * queued while the connection is down: a command then fails at once with `redis_down`, and whoever sent it
 * decides whether it must be sent again.
 */
export interface Connection {
  readonly ready: boolean;
  /** Bulk strings come back as Buffers. Rejects with `redis_down` when the connection is, or goes, down. */
  command(...args: Argument[]): Promise<unknown>;
  /** Messages come as Buffers. Subscriptions are renewed by themselves after a reconnect. */
  subscribe(channel: string, listener: (message: Buffer) => void): Promise<void>;
  /** Called at every (re)connect after the first. */
  onReconnect(listener: () => void): void;
  /** Called with what went wrong when the connection breaks, and at each try to make it again that fails. */
  onDown(listener: (error: unknown) => void): void;
  /** Idempotent; what is under way is rejected. */
  close(): void;
}

const BLOB_STRING = 36;

/** A frozen Redis is noticed after this many ms without a byte; the longest blocking command is 1.5 s. */
const SILENCE_MS = 5000;

/**
 * Opens a connection and waits until it is ready.
 * @param url redis://, rediss:// or unix:///path/to/socket
 * @param name shown in Redis's CLIENT LIST
 * @param access certificates, and user and password; the latter as in the URL when absent
 * Rejects with `redis_down` when Redis cannot be reached at this moment.
 */
export async function connect(url: string, name: string, access: RedisAccess = {}): Promise<Connection> {
  const client = template.duplicate(clientOptions(url, name, access));
  const connection = new ClientConnection(client);
  try {
    await connection.open();
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}

/**
 * Never connected, only copied: `createClient` builds a class of all commands for each new set of options, which
 * costs 20 MB of garbage and 30 ms per connection; a duplicate shares the class.
 * RESP 2: replies are plain arrays, whatever the server's version.
 */
const template = createClient<RedisModules, RedisFunctions, RedisScripts, 2>({ RESP: 2 });

type Options = RedisClientOptions<RedisModules, RedisFunctions, RedisScripts, 2>;

function clientOptions(url: string, name: string, { credentials, tls }: RedisAccess): Options {
  // A command timeout would cost an AbortSignal per command: 19 instead of 4 us each (PROTOCOL.md, trap 2).
  const commandOptions = { timeout: 0, typeMapping: { [BLOB_STRING]: Buffer } };
  const common = {
    name,
    disableOfflineQueue: true,
    // CLIENT SETINFO is new in 7.2: a user of an older Redis cannot be given the right to it.
    disableClientInfo: true,
    pingInterval: 1000,
    commandOptions,
    // In the way the client wants them; a URL's own would win over them.
    ...(credentials && { credentialsProvider: { type: "async-credentials-provider" as const, credentials } }),
  };
  const socket = { socketTimeout: SILENCE_MS, connectTimeout: SILENCE_MS, reconnectStrategy };
  if (url.startsWith("unix://")) return { ...common, socket: { ...socket, path: url.slice(7), tls: false } };
  const place = credentials === undefined ? url : withoutUser(url);
  return { ...common, url: place, socket: { ...socket, ...tls, noDelay: true } };
}

function reconnectStrategy(retries: number): number {
  return Math.min(20 * 2 ** retries, 500) * (0.75 + Math.random() / 2);
}

type Client = ReturnType<typeof template.duplicate>;

class ClientConnection implements Connection {
  readonly #client: Client;
  readonly #onReconnect: (() => void)[] = [];
  readonly #onDown: ((error: unknown) => void)[] = [];
  #opened = false;
  #closed = false;

  constructor(client: Client) {
    this.#client = client;
    // Every failed (re)connect is an error event; what matters to us is up or down.
    client.on("error", (error) => {
      this.#down(error);
    });
    client.on("ready", () => {
      if (this.#opened) for (const listener of this.#onReconnect) listener();
    });
  }

  async open(): Promise<void> {
    const failed = Promise.withResolvers<never>();
    const onError = (error: unknown): void => {
      failed.reject(new Fault("redis_down", "Redis cannot be reached", { cause: error }));
    };
    this.#client.once("error", onError);
    const opening = this.#client.connect();
    opening.catch(onError);
    await Promise.race([opening, failed.promise]);
    this.#client.off("error", onError);
    this.#opened = true;
  }

  get ready(): boolean {
    return this.#client.isReady;
  }

  async command(...args: Argument[]): Promise<unknown> {
    if (!this.#client.isReady) throw new Fault("redis_down", "Redis is not connected");
    try {
      return await this.#client.sendCommand(args);
    } catch (error) {
      if (isReplyError(error)) throw refusal(error) ?? error;
      throw new Fault("redis_down", "the connection to Redis broke", { cause: error });
    }
  }

  async subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    await this.#client.subscribe(channel, listener, true);
  }

  onReconnect(listener: () => void): void {
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

  #down(error: unknown): void {
    if (this.#closed || !this.#opened) return;
    for (const listener of this.#onDown) listener(error);
  }
}

/** States of Redis that pass, or that its operator has to end: for whoever sent the command they are an outage. */
const OUTAGES: ReadonlySet<string> = new Set([
  "OOM",
  "LOADING",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "BUSY",
  "MISCONF",
  "NOREPLICAS",
  "NOAUTH",
  "NOPERM",
]);

function refusal(error: Error): Fault | undefined {
  const code = replyErrorCode(error);
  if (!OUTAGES.has(code)) return undefined;
  return new Fault("redis_down", `Redis refuses commands now (${code})`, { cause: error });
}

/** True for an error that Redis itself replied with (the connection is fine). */
export function isReplyError(error: unknown): error is Error {
  return error instanceof ErrorReply;
}

/** The code word of a Redis reply error, e.g. `NOSCRIPT`, `NOGROUP`, `BUSYGROUP`; "" for anything else. */
export function replyErrorCode(error: unknown): string {
  return isReplyError(error) ? error.message.slice(0, error.message.indexOf(" ")) : "";
}
