import { hostname } from "node:os";
import type { Settings } from "../config/settings.ts";
import type { GatewayAnnouncement } from "../core/fleet.ts";
import { unguardedAddress } from "../gateway/http/guard.ts";
import type { Finding } from "./finding.ts";
import { isGateway, listenProblem, localUrl } from "./listening.ts";

/** Address of a gateway. */
interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Lists the gateways of this machine. Without any, checks that one can listen on the configured address. */
export async function checkGateways(
  settings: Settings,
  announced: readonly GatewayAnnouncement[],
): Promise<readonly Finding[]> {
  const own = announced.filter(({ host }) => host === hostname());
  const addresses = [settings, ...own.map(({ listen = "127.0.0.1", port }) => ({ host: listen, port }))];
  const found = await Promise.all(addresses.map(findGateway));
  const texts = new Set(found.filter((text) => text !== undefined));
  if (texts.size === 0) return [await checkPort(settings)];
  return Array.from(texts, (text) => ({ ok: true, about: "gateway", text }));
}

/** Checks that other machines need a key. @param refusesAnonymous true when records of keys see to it */
export function checkKeys(
  settings: Pick<Settings, "host" | "apiKeys">,
  refusesAnonymous = false,
): readonly Finding[] {
  const problem = unguardedAddress(settings, refusesAnonymous);
  return problem === undefined ? [] : [{ ok: false, about: "keys", text: `${problem}.` }];
}

async function findGateway({ host, port }: ListenAddress): Promise<string | undefined> {
  return (await isGateway(localUrl(host, port))) ? `one runs at ${host} port ${port}` : undefined;
}

async function checkPort({ host, port }: ListenAddress): Promise<Finding> {
  const problem = await listenProblem(host, port);
  return { ok: problem === undefined, about: "port", text: problem ?? `${host} port ${port} is free` };
}
