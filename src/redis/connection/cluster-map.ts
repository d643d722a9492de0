import { shownAddress } from "./redis-url.ts";
import type { RedisAddress } from "./redis-url.ts";
import { asArray, asText } from "./resp.ts";
import { SLOTS } from "./slots.ts";

/** The slots of each master of a cluster. */
export interface ClusterMap {
  /** Masters by `host:port`. */
  readonly masters: ReadonlyMap<string, RedisAddress>;
  /** Key in {@link masters} of each slot; undefined for a slot without a master. */
  readonly owners: readonly (string | undefined)[];
  /** Masters and replicas. */
  readonly members: readonly RedisAddress[];
}

/**
 * Reads the reply to CLUSTER SLOTS.
 * @param asked the node that replied. A node that does not know its own address leaves it out.
 */
export function readClusterMap(reply: unknown, asked: RedisAddress): ClusterMap {
  const masters = new Map<string, RedisAddress>();
  const members: RedisAddress[] = [];
  const owners: (string | undefined)[] = Array.from({ length: SLOTS });
  for (const range of asArray(reply)) {
    const [from, to, ...nodes] = asArray(range);
    const [master, ...replicas] = nodes.map((node) => readNode(node, asked));
    if (master === undefined) continue;
    const name = shownAddress(master);
    masters.set(name, master);
    for (const member of [master, ...replicas]) members.push(member);
    owners.fill(name, Number(from), Number(to) + 1);
  }
  return { masters, owners, members };
}

function readNode(node: unknown, asked: RedisAddress): RedisAddress {
  const [host, port] = asArray(node);
  const known = asText(host);
  return { host: known === "" || known === "?" ? asked.host : known, port: Number(port) };
}

/** The target of a `MOVED` or `ASK` error; undefined when the node does not know its address. */
export function readRedirection(message: string): RedisAddress | undefined {
  const [, host, port] = /^\w+ \d+ (.+):(\d+)$/.exec(message) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}
