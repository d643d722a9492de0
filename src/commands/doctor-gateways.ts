import { hostname } from "node:os";
import type { Settings } from "../config/settings.ts";
import type { GatewayAnnouncement } from "../core/fleet.ts";
import { openDoor } from "../gateway/open-door.ts";
import type { Finding } from "./finding.ts";
import { isGateway, listenProblem, localUrl } from "./listening.ts";

/** Where a gateway listens. */
interface Place {
  readonly host: string;
  readonly port: number;
}

/** The gateways that run on this machine, wherever they listen; without any, whether one can where it is told to. */
export async function checkGateways(
  settings: Settings,
  announced: readonly GatewayAnnouncement[],
): Promise<readonly Finding[]> {
  const own = announced.filter(({ host }) => host === hostname());
  const places = [settings, ...own.map(({ listen = "127.0.0.1", port }) => ({ host: listen, port }))];
  const looks = await Promise.all(places.map(look));
  const texts = new Set(looks.filter((text) => text !== undefined));
  if (texts.size === 0) return [await checkPort(settings)];
  return Array.from(texts, (text) => ({ ok: true, about: "gateway", text }));
}

/** Whether others than this machine are served without a key. */
export function checkDoor(settings: Pick<Settings, "host" | "apiKeys">): readonly Finding[] {
  const problem = openDoor(settings);
  return problem === undefined ? [] : [{ ok: false, about: "keys", text: `${problem}.` }];
}

async function look({ host, port }: Place): Promise<string | undefined> {
  return (await isGateway(localUrl(host, port))) ? `one runs at ${host} port ${port}` : undefined;
}

async function checkPort({ host, port }: Place): Promise<Finding> {
  const problem = await listenProblem(host, port);
  return { ok: problem === undefined, about: "port", text: problem ?? `${host} port ${port} is free` };
}
