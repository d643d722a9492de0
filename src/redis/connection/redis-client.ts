import { createClient } from "redis";
import type { RedisClientOptions, RedisFunctions, RedisModules, RedisScripts } from "redis";
import type { RedisAccess } from "./access.ts";

/** RESP 2 type byte (`$`) of bulk strings. */
const BLOB_STRING = 36;

export type ClientOptions = RedisClientOptions<RedisModules, RedisFunctions, RedisScripts, 2>;

/**
 * Never connected, only copied. `createClient` builds a class of all commands for each new set of options.
 * One such class costs 20 MB of garbage and 30 ms. A duplicate shares the class.
 * RESP 2: replies are plain arrays, whatever the server's version.
 */
const template: ReturnType<typeof createClient<RedisModules, RedisFunctions, RedisScripts, 2>> = createClient(
  { RESP: 2 },
);

/** A client of the `redis` package. */
export type Client = ReturnType<typeof template.duplicate>;

/** Makes a client, which is not connected yet. */
export function newClient(options: ClientOptions): Client {
  return template.duplicate(options);
}

/**
 * Options of every client.
 * @param name shown in Redis's CLIENT LIST
 */
export function commonOptions(name: string, { credentials }: RedisAccess): ClientOptions {
  // A command timeout would cost an AbortSignal per command: 19 us instead of 4.
  const commandOptions = { timeout: 0, typeMapping: { [BLOB_STRING]: Buffer } };
  return {
    name,
    disableOfflineQueue: true,
    // CLIENT SETINFO is new in 7.2. A user of an older Redis cannot be given the right to it.
    disableClientInfo: true,
    pingInterval: 1000,
    commandOptions,
    ...(credentials && { credentialsProvider: { type: "async-credentials-provider" as const, credentials } }),
  };
}
