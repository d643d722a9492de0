import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "../../../src/redis/connection/connect.ts";
import type { Connection } from "../../../src/redis/connection/connection.ts";
import { Keys } from "../../../src/redis/keys.ts";
import { openStores } from "../../../src/redis/stores.ts";
import type { Stores } from "../../../src/redis/stores.ts";
import { EPHEMERAL, RedisServer } from "./redis-server.ts";

/** A real Redis for the tests of one file, and a connection to it. */
export interface RedisRig {
  readonly server: RedisServer;
  readonly connection: Connection;
  readonly keys: Keys;
  readonly stores: Stores;
  /** More connections; closed with the rig. */
  connect(): Promise<Connection>;
  close(): Promise<void>;
}

export async function openRedisRig(): Promise<RedisRig> {
  const dir = await mkdtemp(path.join(tmpdir(), "sgnet-redis-"));
  const server = await RedisServer.start({ dir, args: EPHEMERAL });
  const open: Connection[] = [];
  const more = async (): Promise<Connection> => {
    const connection = await connect(server.url, "test");
    open.push(connection);
    return connection;
  };
  const connection = await more();
  const keys = new Keys("test");
  return {
    server,
    connection,
    keys,
    stores: openStores(connection, keys),
    connect: more,
    close: async () => {
      for (const each of open) each.close();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
