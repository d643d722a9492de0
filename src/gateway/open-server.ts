import { hostname, networkInterfaces } from "node:os";
import type { Settings } from "../config/settings.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { Allowance } from "./allowance.ts";
import { automaticConnections, ConnectionCount, openFiles, refuseTooMany } from "./connection-count.ts";
import { buildGuard } from "./door.ts";
import { startHttp } from "./http.ts";
import type { Guard, HttpOptions, HttpServer, Route } from "./http.ts";
import type { Keyring } from "./keyring.ts";
import { OriginPolicy } from "./origin.ts";
import { buildFallback, buildRefusals } from "./routes.ts";
import type { BodyRefusals } from "./routes.ts";
import type { Tails } from "./tails.ts";
import { turnedAwayTo } from "./turned-away.ts";
import type { OnTurnedAway } from "./turned-away.ts";
import type { UwsModule } from "./uws.ts";

interface ServerAssembly {
  readonly settings: Settings;
  readonly log: Log;
  readonly sharePort: boolean;
  readonly uws: UwsModule;
}

/** Begins to listen. */
export async function openServer(
  { settings, log, sharePort, uws }: ServerAssembly,
  parts: {
    readonly routes: readonly Route[];
    readonly tails: Tails;
    readonly metrics: GatewayMetrics;
    readonly keyring: Keyring;
  },
): Promise<HttpServer> {
  const { routes, tails, metrics, keyring } = parts;
  if (!uws.http10) log.info("HTTP/1.0 is not taken here: proxies and health checks must use HTTP/1.1");
  return startHttp({
    uws,
    host: settings.host,
    port: settings.port,
    share: sharePort,
    maxBodyBytes: settings.maxBodyBytes,
    routes,
    ...buildFallback(routes),
    tails,
    ...turnAway({ settings, log, metrics, keyring }),
  });
}

/** What keeps requests out before their endpoint is looked at. The room for bodies in memory is bounded and shown. */
function turnAway(parts: {
  settings: Settings;
  log: Log;
  metrics: GatewayMetrics;
  keyring: Keyring;
}): Omit<BodyRefusals, "noRoom"> & Pick<HttpOptions, "bodies" | "connections" | "guard"> {
  const { settings, log, metrics, keyring } = parts;
  const onRefused = turnedAwayTo({ log, metrics });
  const { noRoom, ...refusals } = buildRefusals(settings.maxBodyBytes, onRefused);
  const allowance = new Allowance(settings.maxBodiesBytes, systemAmbient.mono);
  metrics.observe("request_bodies_bytes", "Bytes of request bodies held in memory", () => allowance.used);
  const guard = guardOf(settings, keyring, onRefused);
  const files = openFiles();
  const onCut = (): void => metrics.rejected("none", "too_many_connections");
  const count = new ConnectionCount(settings.maxConnections || automaticConnections(files), onCut, files);
  metrics.observe("client_connections", "Connections of clients", () => count.open);
  const connections = { count, tooMany: refuseTooMany(onRefused) };
  return { ...refusals, bodies: { allowance, noRoom }, connections, guard };
}

function guardOf(settings: Settings, keyring: Keyring, onRefused: OnTurnedAway): Guard {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = [hostname(), ...addresses.map(({ address }) => address)];
  const origins = new OriginPolicy({ origins: settings.origins, listen: settings.host, own });
  return buildGuard({ origins, keyring, onRefused });
}
