import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { resolvedCacheDir } from "../config/load.ts";
import type { Settings } from "../config/settings.ts";
import { productBuild, productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import { Fault } from "../core/fault.ts";
import { accessOf } from "../redis/access.ts";
import { connect } from "../redis/connect.ts";
import type { Connection } from "../redis/connection.ts";
import { preferFunctions } from "../redis/functions.ts";
import { Keys } from "../redis/keys.ts";
import { OutageLog } from "../redis/outage-log.ts";
import { forgetGateway } from "../redis/registry.ts";
import { requireSupported } from "../redis/server.ts";
import type { Log } from "../telemetry/log.ts";
import { openGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { tellOwnStalls } from "../telemetry/own-stalls-told.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { Catalogue } from "./catalogue.ts";
import { openHeld } from "./held.ts";
import type { HttpServer } from "./http.ts";
import { Keyring } from "./keyring.ts";
import { openManagement } from "./open-management.ts";
import { openServer } from "./open-server.ts";
import { openMetricsPages } from "./metrics-pages.ts";
import type { MetricsPages } from "./metrics-pages.ts";
import { warnOfOpenDoor } from "./open-door.ts";
import { Observatory } from "./observatory.ts";
import { byThePorch, Porch } from "./porch.ts";
import { startPresence } from "./presence.ts";
import { readinessOf } from "./readiness.ts";
import { buildRoutes } from "./routes.ts";
import { watchStarts } from "./startup.ts";
import { Switchboard } from "./switchboard.ts";
import { TaskSpans } from "./task-spans.ts";
import { openUi } from "./ui.ts";
import { loadUws } from "./uws.ts";

export interface GatewayOptions {
  readonly settings: Settings;
  readonly log: Log;
  /** Absent when nobody collects spans. */
  readonly tracing?: Tracing | undefined;
  /** True when a worker is started beside this gateway. */
  readonly expectsWorker?: boolean;
  /** Lets other gateway processes listen on the same port; the metrics page then tells of all of them. */
  readonly sharePort?: boolean;
}

/** How long connections that were taken last have to send their requests once the gateway listens no more, ms. */
const LAST_CALL_MS = 1000;

/** A running gateway. */
export interface GatewayHandle {
  readonly port: number;
  /**
   * Stops: refuses new requests, lets open ones finish for up to the drain time, ends the rest with a fault, frees
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
  const { settings, log, sharePort = false } = options;
  const tag = `g${randomBytes(6).toString("hex")}`;
  const uws = loadUws({ cacheDir: resolvedCacheDir(settings) });
  const releases: (() => void)[] = [];
  try {
    const outages = new OutageLog(log);
    return await assemble({ ...options, sharePort, tag, uws, outages, releases });
  } catch (error) {
    for (const release of releases.toReversed()) release();
    throw error;
  }
}

interface Assembly extends GatewayOptions {
  readonly sharePort: boolean;
  readonly tag: string;
  readonly uws: ReturnType<typeof loadUws>;
  readonly outages: OutageLog;
  /** Undone last first. */
  readonly releases: (() => void)[];
}

async function assemble(assembly: Assembly): Promise<GatewayHandle> {
  const { settings, log, tag, releases } = assembly;
  const keys = new Keys(settings.prefix);
  const { commands, channel, metrics, version, build } = await openLinks(assembly);
  const memoryMs = settings.modelMemoryMs;
  const catalogue = new Catalogue({ connection: commands, keys, tag, now: systemAmbient.now, memoryMs });
  const unknownModel = watchStarts(assembly, catalogue);
  const observatory = new Observatory({ connection: commands, keys, gateway: { tag, version }, memoryMs });
  const held = await openHeld({ settings, commands, metrics, exchanges: () => board.exchanges() });
  releases.push(held.stop);
  const porch = new Porch([commands, channel]);
  const parts = {
    held: held.replies,
    porch,
    settings,
    log,
    tag,
    keys,
    commands,
    channel,
    catalogue,
    metrics,
    witness: observatory.witness,
    unknownModel,
  };
  const board = new Switchboard({ ...parts, spans: spansOf(assembly) });
  await channel.subscribe(keys.channel(tag), (message) => {
    board.receive(message);
  });
  await catalogue.start(channel);
  releases.push(() => catalogue.stop());
  board.start();
  const events = observatory.start({ exchanges: () => board.exchanges(), unready: () => board.unready() });
  releases.push(() => {
    board.stop();
    void observatory.stop();
  });
  const keyring = new Keyring(settings);
  const pages = openPages(assembly, parts);
  const routes = buildRoutes({
    catalogue,
    version,
    build,
    needsKey: settings.apiKeys !== "",
    management: openManagement({ ...parts, board, keyring }),
    unknownModel,
    takeTask: byThePorch(porch, board),
    readiness: readinessOf(settings, [commands, channel], () => board.unavailable()),
    ui: openUi(events),
    metrics: pages,
    metricsType: metrics.contentType,
  });
  const server = await openServer(assembly, { routes, tails: held.tails, metrics, keyring });
  const gateway = { tag, version, port: server.port, listen: settings.host };
  const presence = startPresence({ ...parts, gateway, board, observatory });
  log.info("gateway is ready", { host: settings.host, port: server.port, tag });
  warnOfOpenDoor(settings, log);
  return handle({ assembly, keys, commands, board, porch, server, observatory, pages, presence });
}

interface Links {
  readonly commands: Connection;
  readonly channel: Connection;
  readonly metrics: GatewayMetrics;
  readonly version: string;
  readonly build: string;
}

/** The connections to Redis, and the metrics that tell of them and of this process. */
async function openLinks(assembly: Assembly): Promise<Links> {
  const commands = await openConnection(assembly, "commands");
  await requireSupported(commands);
  await preferFunctions(commands);
  const channel = await openConnection(assembly, "channel");
  const [version, build] = [productVersion(), productBuild()];
  const metrics = openGatewayMetrics({ version, build });
  for (const connection of [commands, channel]) connection.onDown(metrics.redisFailed);
  assembly.releases.push(tellOwnStalls(assembly.log, metrics));
  return { commands, channel, metrics, version, build };
}

function openPages(
  { settings, tag, sharePort, releases }: Assembly,
  parts: Pick<Links, "commands" | "metrics"> & { readonly keys: Keys; readonly catalogue: Catalogue },
): MetricsPages {
  const { commands: connection, metrics, keys, catalogue } = parts;
  const address = { host: hostname(), port: settings.port, listen: settings.host };
  const pages = openMetricsPages({ connection, keys, catalogue, tag, metrics, address, sharePort });
  releases.push(() => void pages.stop());
  return pages;
}

function spansOf({ tracing }: Assembly): TaskSpans | undefined {
  return tracing === undefined ? undefined : new TaskSpans(tracing, systemAmbient.mono);
}

async function openConnection(assembly: Assembly, role: string): Promise<Connection> {
  const { settings, outages } = assembly;
  const connection = await connect(settings.redisUrl, `sgnet-gateway-${role}`, accessOf(settings));
  outages.watch(connection);
  assembly.releases.push(() => {
    connection.close();
  });
  return connection;
}

interface Running {
  readonly assembly: Assembly;
  readonly keys: Keys;
  readonly commands: Connection;
  readonly board: Switchboard;
  readonly server: HttpServer;
  readonly observatory: Observatory;
}

function handle(
  running: Running & {
    readonly porch: Porch;
    readonly pages: MetricsPages;
    readonly presence: () => void;
  },
): GatewayHandle {
  const { assembly, keys, commands, board, porch, server, observatory, pages, presence } = running;
  const stop = async (): Promise<void> => {
    const { drainGraceMs } = assembly.settings;
    server.leave();
    await board.leave(drainGraceMs);
    server.stopListening();
    await board.leave(Math.min(drainGraceMs, LAST_CALL_MS));
    porch.close();
    const till = systemAmbient.mono() + assembly.settings.drainMs;
    await board.drain(assembly.settings.drainMs);
    await server.flushed(Math.max(0, till - systemAmbient.mono()));
    board.failAll(new Fault("draining", "the gateway is stopping"));
    // What it removes last has gone when its name has.
    board.stop();
    await observatory.stop();
    presence();
    await pages.stop();
    await forgetGateway(commands, keys, assembly.tag).catch(() => undefined);
    server.close();
    for (const release of assembly.releases.toReversed()) release();
  };
  let stopping: Promise<void> | undefined;
  return {
    port: server.port,
    stop: async () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
