import { randomBytes } from "node:crypto";
import type { Settings } from "../config/settings.ts";
import { accessOf } from "../redis/connection/access.ts";
import { connect } from "../redis/connection/connect.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { OutageLog } from "../redis/connection/outage-log.ts";
import { requireSupported } from "../redis/connection/server.ts";
import { preferFunctions } from "../redis/functions.ts";
import { openInspection } from "../redis/inspect/inspection.ts";
import type { Inspection } from "../redis/inspect/inspection.ts";
import { Keys } from "../redis/keys.ts";
import { openStores } from "../redis/stores.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { GatewayLinks } from "./requests/assembly.ts";
import { OutageBuffer } from "./requests/availability.ts";

export interface GatewayLinksOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  /** Gets what closes the connections again. */
  readonly releases: (() => void)[];
}

/** The links of a gateway that shows its fleet to people. */
export interface InspectedLinks extends GatewayLinks {
  readonly inspection: Inspection;
}

/** Connects a gateway to Redis under a new name. Rejects with `redis_down`. */
export async function openGatewayLinks(options: GatewayLinksOptions): Promise<InspectedLinks> {
  const { settings, log, metrics } = options;
  const outages = new OutageLog(log);
  const commands = await openConnection(options, outages, "commands");
  await requireSupported(commands);
  await preferFunctions(commands);
  const channel = await openConnection(options, outages, "channel");
  for (const connection of [commands, channel]) connection.onDown(metrics.redisFailed);
  const keys = new Keys(settings.prefix);
  return {
    tag: `g${randomBytes(6).toString("hex")}`,
    commands,
    stores: openStores(commands, keys),
    channel,
    listening: openStores(channel, keys),
    inspection: openInspection(commands, keys),
    outageBuffer: new OutageBuffer([commands, channel]),
  };
}

async function openConnection(
  { settings, releases }: GatewayLinksOptions,
  outages: OutageLog,
  role: string,
): Promise<Connection> {
  const connection = await connect(settings.redisUrl, `sgnet-gateway-${role}`, accessOf(settings));
  outages.watch(connection);
  releases.push(() => {
    connection.close();
  });
  return connection;
}
