import type { Connection } from "../connection/connection.ts";
import { asArray, asText } from "../connection/resp.ts";
import { least } from "../../core/long-lists.ts";

/** Reads the wall clock of every server, ms since 1970, in no order. Rejects with `redis_down`. */
export async function readClocks(connection: Connection): Promise<number[]> {
  const replies = await connection.everywhere("TIME");
  return replies.map((reply) => {
    const [seconds = "", micros = ""] = asArray(reply).map(asText);
    return Number(seconds) * 1000 + Number(micros) / 1000;
  });
}

/**
 * Age of an entry in its stream, ms, by the clock of Redis: all processes share that clock.
 * On a Redis Cluster the clock that is most behind counts.
 */
export async function ageOf(connection: Connection, entry: string): Promise<number> {
  return least(await readClocks(connection)) - Number.parseInt(entry, 10);
}
