import type { Connection } from "./connection.ts";
import { asArray, asText } from "./replies.ts";
import { least } from "../core/long-lists.ts";

/** The wall clock of every server, ms since 1970, in no particular order. Rejects with `redis_down`. */
export async function readClocks(connection: Connection): Promise<number[]> {
  const replies = await connection.everywhere("TIME");
  return replies.map((reply) => {
    const [seconds = "", micros = ""] = asArray(reply).map(asText);
    return Number(seconds) * 1000 + Number(micros) / 1000;
  });
}

/**
 * How long an entry has been in its stream, ms, by the clock of Redis: the one clock that all processes share. On a
 * Redis Cluster by that of the server that says the least.
 */
export async function ageOf(connection: Connection, entry: string): Promise<number> {
  return least(await readClocks(connection)) - Number.parseInt(entry, 10);
}
