import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startRedis } from "../../src/admin/redis-child.ts";
import type { RedisChild } from "../../src/admin/redis-child.ts";
import { connect } from "../../src/redis/connect.ts";
import type { Connection } from "../../src/redis/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { steadyPort } from "./steady-port.ts";

/** A real Redis for the tests of one file, and a connection to it. */
export interface RedisRig {
  readonly server: RedisChild;
  readonly connection: Connection;
  readonly keys: Keys;
  /** More connections; closed with the rig. */
  connect(): Promise<Connection>;
  close(): Promise<void>;
}

export async function openRedisRig(): Promise<RedisRig> {
  const dir = await mkdtemp(path.join(tmpdir(), "sgnet-redis-"));
  const server = await startRedis({ dir, port: await steadyPort(), persistent: false });
  const open: Connection[] = [];
  const more = async (): Promise<Connection> => {
    const connection = await connect(server.url, "test");
    open.push(connection);
    return connection;
  };
  return {
    server,
    connection: await more(),
    keys: new Keys("test"),
    connect: more,
    close: async () => {
      for (const connection of open) connection.close();
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
