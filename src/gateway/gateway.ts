import { hostname } from "node:os";
import { resolvedCacheDir } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { productBuild, productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { Fault } from "../core/fault.ts";
import { openGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { reportStalls } from "../telemetry/stall-report.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { openAccessControl } from "./access/access-control.ts";
import { Auditor } from "./access/auditor.ts";
import type { AccessControl } from "./access/access-control.ts";
import { usageRoute } from "./access/usage-route.ts";
import { openKeyDirectory } from "./access/key-directory.ts";
import { startGatewayAnnouncer } from "./fleet/announcer.ts";
import type { GatewayAnnouncer } from "./fleet/announcer.ts";
import { Catalogue } from "./fleet/catalogue.ts";
import { readinessOf } from "./fleet/readiness.ts";
import { watchStarts } from "./fleet/startup.ts";
import type { Route } from "./http/http.ts";
import type { HttpServer } from "./http/server.ts";
import { warnIfUnguarded } from "./http/guard.ts";
import { loadUws } from "./http/uws.ts";
import type { UwsModule } from "./http/uws.ts";
import { openGatewayLinks } from "./links.ts";
import type { InspectedLinks } from "./links.ts";
import { openUi } from "./live-page.ts";
import { openGauges } from "./monitor/gauges.ts";
import { openMetricsPages } from "./monitor/metrics-pages.ts";
import type { MetricsPages } from "./monitor/metrics-pages.ts";
import { Monitoring } from "./monitor/monitoring.ts";
import { openTaskObservers } from "./monitor/task-observers.ts";
import { openUsageRecorder } from "./monitor/usage-recorder.ts";
import { openManagement } from "./open-management.ts";
import { openServer } from "./open-server.ts";
import { assembleRequestPath } from "./requests/assembly.ts";
import type { RequestPath } from "./requests/assembly.ts";
import { openHeldReplies } from "./requests/reply-limit.ts";
import type { OpenHeldReplies } from "./requests/reply-limit.ts";
import { buildRoutes } from "./routes.ts";
import { shutdownOf } from "./shutdown.ts";

export interface GatewayOptions {
  readonly settings: Settings;
  readonly log: Log;
  /** Absent when no collector takes spans. */
  readonly tracing?: Tracing | undefined;
  /** True when a worker is started beside this gateway. */
  readonly expectsWorker?: boolean;
  /** Lets other gateway processes listen on the same port. The metrics page then covers all of them. */
  readonly sharePort?: boolean;
}

/** A running gateway. */
export interface GatewayHandle {
  readonly port: number;
  /**
   * Rejects new requests and lets open ones finish for up to the drain time. Ends the rest with a fault and frees
   * everything. Idempotent.
   */
  stop(): Promise<void>;
}

/**
 * Starts a gateway.
 * @throws Fault `redis_down` when Redis cannot be reached, `internal` when the port is taken or the HTTP binary
 * cannot be loaded
 */
export async function startGateway(options: GatewayOptions): Promise<GatewayHandle> {
  const { settings, sharePort = false } = options;
  const uws = loadUws({ cacheDir: resolvedCacheDir(settings) });
  const releases: (() => void)[] = [];
  try {
    return await assemble({ ...options, sharePort, uws, releases });
  } catch (error) {
    for (const release of releases.toReversed()) release();
    throw error;
  }
}

interface Assembly extends GatewayOptions {
  readonly sharePort: boolean;
  readonly uws: UwsModule;
  /** Undone last first. */
  readonly releases: (() => void)[];
}

/** The parts that the others stand on: the links to Redis, the fleet as it is seen here, the metrics. */
interface Foundation {
  readonly version: string;
  /** The commit that it is of; empty when that is not known. */
  readonly build: string;
  readonly links: InspectedLinks;
  readonly metrics: GatewayMetrics;
  readonly catalogue: Catalogue;
  /** The fault to send instead of one on a model that no worker serves. */
  readonly unknownModel: (fault: Fault) => Fault;
  readonly monitoring: Monitoring;
  readonly access: AccessControl;
}

async function assemble(assembly: Assembly): Promise<GatewayHandle> {
  const { settings, log } = assembly;
  const foundation = await openFoundation(assembly);
  const { links, metrics, monitoring, access } = foundation;
  const { path, held } = await openRequests(assembly, foundation);
  const pages = openPages(assembly, foundation);
  const { keyring } = access;
  const auditor = new Auditor({ audit: links.stores.audit, keyring, log, mono: systemAmbient.mono });
  const routes = openRoutes(assembly, foundation, { path, pages, auditor });
  const { pendingWrites } = held;
  const server = await openServer(assembly, { routes, pendingWrites, metrics, keyring, auditor });
  const announcer = announce(foundation, { path, server, listen: settings.host });
  log.info("gateway is ready", { host: settings.host, port: server.port, tag: links.tag });
  warnIfUnguarded(settings, log, !keyring.isOpen);
  const parts = { log, settings, links, path, access, server, monitoring, pages, announcer };
  return { port: server.port, stop: shutdownOf(parts, assembly.releases) };
}

async function openFoundation(assembly: Assembly): Promise<Foundation> {
  const { settings, log, releases } = assembly;
  const [version, build] = [productVersion(), productBuild()];
  const metrics = openGatewayMetrics({ version, build });
  const links = await openGatewayLinks({ settings, log, metrics, releases });
  releases.push(reportStalls(log, metrics));
  const { tag, stores, inspection, commands: connection } = links;
  const { modelMemoryMs: memoryMs } = settings;
  const catalogue = new Catalogue({ connection, stores, tag, now: systemAmbient.now, memoryMs });
  const unknownModel = watchStarts(assembly, catalogue);
  const monitoring = new Monitoring({ inspection, gateway: { tag, version }, memoryMs });
  const records = await openKeyDirectory(links, { log, releases });
  const access = openAccessControl(settings, { ...links, log, metrics }, records);
  releases.push(() => void access.stop());
  return { version, build, links, metrics, catalogue, unknownModel, monitoring, access };
}

/** Starts the request path, and the catalogue that it needs. */
async function openRequests(
  { settings, log, tracing, releases }: Assembly,
  { links, metrics, catalogue, unknownModel, monitoring, access }: Foundation,
): Promise<{ readonly path: RequestPath; readonly held: OpenHeldReplies }> {
  const { commands, channel } = links;
  const exchanges = (): ReturnType<RequestPath["exchanges"]> => path.exchanges();
  const held = await openHeldReplies({ settings, commands, metrics, exchanges });
  releases.push(held.stop);
  const path = assembleRequestPath({
    settings,
    log,
    metrics,
    links,
    catalogue,
    access,
    unknownModel,
    held: held.replies,
    observers: [
      ...openTaskObservers({ log, metrics, catalogue, tracing }),
      ...monitoring.observers,
      openUsageRecorder(settings, { access, catalogue, metrics, meter: monitoring.meter }),
    ],
  });
  access.usage.start();
  openGauges({ metrics, commands, channel, catalogue, exchanges, paused: path.paused });
  releases.push(path.stop);
  await path.start();
  await catalogue.start(links.listening.registry);
  releases.push(() => catalogue.stop());
  return { path, held };
}

function openPages(
  { settings, sharePort, releases }: Assembly,
  { links, metrics, catalogue }: Foundation,
): MetricsPages {
  const { tag, stores, inspection, commands: connection } = links;
  const address = { host: hostname(), port: settings.port, listen: settings.host };
  const pages = openMetricsPages({
    connection,
    stores,
    inspection,
    catalogue,
    tag,
    metrics,
    address,
    sharePort,
  });
  releases.push(() => void pages.stop());
  return pages;
}

function openRoutes(
  { settings, releases }: Assembly,
  foundation: Foundation,
  { path, pages, auditor }: { path: RequestPath; pages: MetricsPages; auditor: Auditor },
): readonly Route[] {
  const { version, build, links, metrics, catalogue, unknownModel, monitoring, access } = foundation;
  const { stores, commands, channel } = links;
  const { adminKeys } = settings;
  const { availability, exchanges } = path;
  const events = monitoring.start({
    exchanges,
    unready: () => availability.unready(),
    mayWatch: ({ headers }) => access.keyring.isStillValid(headers),
  });
  releases.push(() => void monitoring.stop());
  return buildRoutes({
    catalogue,
    version,
    build,
    keyring: access.keyring,
    management: [
      ...openManagement({ catalogue, path, access, stores, auditor, metrics, unknownModel, adminKeys }),
      usageRoute({ keyring: access.keyring, stores, unready: availability.unready.bind(availability) }),
    ],
    unknownModel,
    takeTask: path.take,
    readiness: readinessOf(settings, [commands, channel], () => availability.unavailable()),
    ui: openUi(events),
    metrics: pages,
    metricsType: metrics.contentType,
  });
}

function announce(
  { version, links, metrics, monitoring, access }: Foundation,
  { path, server, listen }: { path: RequestPath; server: HttpServer; listen: string },
): GatewayAnnouncer {
  const { tag, stores, commands } = links;
  const { failoverSync, exchanges } = path;
  const announcer = startGatewayAnnouncer({
    commands,
    stores,
    metrics,
    gateway: { tag, version, port: server.port, listen },
    status: () => {
      const { server: synced } = failoverSync;
      const { tokensPerSecond } = monitoring;
      return {
        open: exchanges().length,
        tokensPerSecond,
        ...(access.records.isEmpty ? {} : { tenants: monitoring.tenantsNow(exchanges()) }),
        ...(synced === undefined ? {} : { server: synced }),
      };
    },
  });
  failoverSync.onChange(announcer.announce);
  return announcer;
}
