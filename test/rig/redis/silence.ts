import type { Connection } from "../../../src/redis/connection/connection.ts";
import { GROUP } from "../../../src/redis/keys.ts";
import type { Keys } from "../../../src/redis/keys.ts";

/** Makes a task in hand look as if its worker had been silent for so long. */
export async function fallSilent(
  connection: Connection,
  keys: Keys,
  hold: {
    readonly model: string;
    readonly entry: string;
    readonly consumer: string;
    readonly idleMs: number;
  },
): Promise<void> {
  const { model, entry, consumer, idleMs } = hold;
  const how = ["0", entry, "IDLE", String(idleMs), "JUSTID"];
  await connection.command("XCLAIM", keys.queue(model), GROUP, consumer, ...how);
}
