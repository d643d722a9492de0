import type { Connection } from "../redis/connection/connection.ts";
import { requireSupported } from "../redis/connection/server.ts";
import type { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import type { Stores } from "../redis/stores.ts";
import { TaskControl } from "../redis/task-control.ts";

/** Opens a connection of one worker for a role. */
export type OpenConnection = (role: string) => Promise<Connection>;

/** A connection and its stores. */
export interface Link<Name extends keyof Stores = keyof Stores> {
  readonly connection: Connection;
  readonly stores: Pick<Stores, Name>;
}

/** The links of a worker by use: frames, renewals of leases and subscriptions do not wait for each other. */
export interface WorkerLinks {
  readonly writes: Link;
  readonly leases: Link;
  readonly control: TaskControl;
}

/** Opens the links of a worker. Rejects with `redis_down`, and with `internal` when Redis cannot be used. */
export async function openWorkerLinks(open: OpenConnection, keys: Keys): Promise<WorkerLinks> {
  const writes = await open("writes");
  await requireSupported(writes);
  const leases = linkTo(await open("leases"), keys);
  const control = new TaskControl(await open("control"), keys);
  return { writes: linkTo(writes, keys), leases, control };
}

export function linkTo(connection: Connection, keys: Keys): Link {
  return { connection, stores: openStores(connection, keys) };
}
