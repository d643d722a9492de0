import { shownAddress } from "./place.ts";
import type { Address } from "./place.ts";
import { asArray, asText } from "./replies.ts";
import { SLOTS } from "./slots.ts";

/** Which master has which slots. */
export interface ClusterMap {
  /** By `host:port`. */
  readonly masters: ReadonlyMap<string, Address>;
  /** Key of {@link masters} by slot; undefined where nobody has the slot. */
  readonly owners: readonly (string | undefined)[];
  /** Masters and replicas. */
  readonly members: readonly Address[];
}

/**
 * Reads the reply to CLUSTER SLOTS.
 * @param asked the node that replied: one that does not know its own address leaves it out
 */
export function readClusterMap(reply: unknown, asked: Address): ClusterMap {
  const masters = new Map<string, Address>();
  const members: Address[] = [];
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

function readNode(node: unknown, asked: Address): Address {
  const [host, port] = asArray(node);
  const known = asText(host);
  return { host: known === "" || known === "?" ? asked.host : known, port: Number(port) };
}

/** Where a `MOVED` or `ASK` error sends a command; undefined when the node does not know the other's name. */
export function readRedirection(message: string): Address | undefined {
  const [, host, port] = /^\w+ \d+ (.+):(\d+)$/.exec(message) ?? [];
  return host === undefined ? undefined : { host, port: Number(port) };
}
