import { hostname, networkInterfaces } from "node:os";
import type { Settings } from "../config/settings.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { Auditor } from "./access/auditor.ts";
import { ByteQuota } from "./http/byte-quota.ts";
import { automaticConnections, ConnectionLimit, openFiles, refuseTooMany } from "./http/connection-limit.ts";
import { buildGuard } from "./http/guard.ts";
import type { GuardOptions } from "./http/guard.ts";
import type { Guard, Route } from "./http/http.ts";
import { startHttp } from "./http/server.ts";
import type { HttpOptions, HttpServer } from "./http/server.ts";
import type { Keyring } from "./http/keyring.ts";
import { OriginPolicy } from "./http/origin-policy.ts";
import { asksForPage } from "./live-page.ts";
import { buildFallback, buildRefusals } from "./routes.ts";
import type { PendingWrites } from "./http/pending-writes.ts";
import { refusalLog } from "./http/refusal-log.ts";
import { RouteTable } from "./http/route-table.ts";
import type { UwsModule } from "./http/uws.ts";

interface ServerAssembly {
  readonly settings: Settings;
  readonly log: Log;
  readonly sharePort: boolean;
  readonly uws: UwsModule;
}

/** Starts to listen. */
export async function openServer(
  { settings, log, sharePort, uws }: ServerAssembly,
  parts: {
    readonly routes: readonly Route[];
    readonly pendingWrites: PendingWrites;
    readonly metrics: GatewayMetrics;
    readonly keyring: Keyring;
    readonly auditor: Auditor;
  },
): Promise<HttpServer> {
  const { routes, pendingWrites, metrics, keyring, auditor } = parts;
  if (!uws.http10) log.info("HTTP/1.0 is not taken here: proxies and health checks must use HTTP/1.1");
  return startHttp({
    uws,
    address: { host: settings.host, port: settings.port, share: sharePort },
    routing: { routes, ...buildFallback(routes) },
    pendingWrites,
    ...openRefusals({ settings, log, metrics, keyring, auditor }, new RouteTable(routes)),
  });
}

/** Rejects requests before their endpoint is known. The memory for bodies is bounded and shown as a gauge. */
function openRefusals(
  parts: { settings: Settings; log: Log; metrics: GatewayMetrics; keyring: Keyring; auditor: Auditor },
  table: RouteTable,
): Pick<HttpOptions, "guard" | "limits" | "refusals"> {
  const { settings, log, metrics, keyring, auditor } = parts;
  const onRefused = refusalLog({ log, metrics, keyring });
  const { maxBodyBytes } = settings;
  const refusals = {
    ...buildRefusals(maxBodyBytes, onRefused),
    tooManyConnections: refuseTooMany(onRefused),
  };
  const quota = new ByteQuota(settings.maxBodiesBytes, systemAmbient.mono);
  metrics.observe("request_bodies_bytes", "Bytes of request bodies held in memory", () => quota.used);
  const guard = guardOf(settings, {
    keyring,
    onRefused: (code, request, facts) => {
      onRefused(code, request, facts);
      const route = code === "forbidden" ? table.routeOf(request) : undefined;
      if (route?.role !== "admin") return;
      // The handler of an admin's path tells the audit log itself. An observer never comes so far.
      auditor.refused(auditor.authorOf(request), { action: `${route.method} ${route.path}`, target: "" });
    },
    routeOf: (request) => table.routeOf(request),
    onWrongKey: metrics.wrongKey,
  });
  const files = openFiles();
  const onCut = (): void => metrics.rejected("none", "too_many_connections");
  const count = new ConnectionLimit(settings.maxConnections || automaticConnections(files), onCut, files);
  metrics.observe("client_connections", "Connections of clients", () => count.open);
  return { refusals, limits: { maxBodyBytes, bodies: quota, connections: count }, guard };
}

function guardOf(settings: Settings, options: Omit<GuardOptions, "origins" | "isPublic">): Guard {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const own = [hostname(), ...addresses.map(({ address }) => address)];
  const origins = new OriginPolicy({ origins: settings.origins, listen: settings.host, own });
  return buildGuard({ ...options, origins, isPublic: asksForPage });
}
