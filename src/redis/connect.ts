import type { RedisAccess } from "./access.ts";
import { ClusterConnection } from "./cluster-connection.ts";
import type { Connection } from "./connection.ts";
import { openOne } from "./node-connection.ts";
import { readPlace } from "./place.ts";
import { SentinelConnection } from "./sentinel-connection.ts";

/**
 * Opens a connection to the Redis of a URL (see {@link readPlace}) and waits until it is ready.
 * @param name shown in Redis's CLIENT LIST
 * @param access certificates, and user and password; the latter as in the URL when absent
 * Rejects with `redis_down` when Redis cannot be reached at this moment.
 */
export async function connect(url: string, name: string, access: RedisAccess = {}): Promise<Connection> {
  const place = readPlace(url);
  if (place.kind === "one") return openOne(place.url, name, access);
  const connection =
    place.kind === "cluster"
      ? new ClusterConnection(place, name, access)
      : new SentinelConnection(place, name, access);
  try {
    await connection.open();
  } catch (error) {
    connection.close();
    throw error;
  }
  return connection;
}
