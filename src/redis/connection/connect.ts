import type { RedisAccess } from "./access.ts";
import { ClusterConnection } from "./cluster-connection.ts";
import type { Connection } from "./connection.ts";
import { openOne } from "./open-node.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { SentinelConnection } from "./sentinel-connection.ts";

/**
 * Opens a connection to the Redis of a URL (see {@link parseRedisUrl}) and waits until it is ready.
 * @param name shown in Redis's CLIENT LIST
 * @param access certificates, user and password. The user and password of the URL count when it has none.
 * @throws Fault `redis_down` when Redis cannot be reached at this moment
 */
export async function connect(url: string, name: string, access: RedisAccess = {}): Promise<Connection> {
  const target = parseRedisUrl(url);
  if (target.kind === "one") return openOne(target.url, name, access);
  const connection =
    target.kind === "cluster"
      ? new ClusterConnection(target, name, access)
      : new SentinelConnection(target, name, access);
  try {
    await connection.open();
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}
