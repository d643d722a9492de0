import { randomBytes } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
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
import { dropQueue } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import { openGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { tellOwnStalls } from "../telemetry/own-stalls-told.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { Allowance } from "./allowance.ts";
import { adminRoutes } from "./admin-routes.ts";
import { Catalogue } from "./catalogue.ts";
import { automaticConnections, ConnectionCount, openFiles, refuseTooMany } from "./connection-count.ts";
import { buildGuard } from "./door.ts";
import { Errands } from "./errands.ts";
import { openHeld } from "./held.ts";
import { startHttp } from "./http.ts";
import type { Guard, HttpOptions, HttpServer, Route } from "./http.ts";
import { Keyring } from "./keyring.ts";
import { managementRoutes } from "./management.ts";
import { openMetricsPages } from "./metrics-pages.ts";
import type { MetricsPages } from "./metrics-pages.ts";
import { warnOfOpenDoor } from "./open-door.ts";
import { Observatory } from "./observatory.ts";
import { OriginPolicy } from "./origin.ts";
import { byThePorch, Porch } from "./porch.ts";
import { startPresence } from "./presence.ts";
import { readinessOf } from "./readiness.ts";
import { buildFallback, buildRefusals, buildRoutes } from "./routes.ts";
import type { BodyRefusals } from "./routes.ts";
import { ShowView } from "./show-view.ts";
import { watchStarts } from "./startup.ts";
import { Switchboard } from "./switchboard.ts";
import type { Tails } from "./tails.ts";
import { TaskSpans } from "./task-spans.ts";
import { turnedAwayTo } from "./turned-away.ts";
import type { OnTurnedAway } from "./turned-away.ts";
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

/** A running gateway. */
/** Connections that were taken last, before the gateway stopped to listen, get so long to send their requests, ms. */
const LAST_CALL_MS = 1000;

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
  const { settings, log, sharePort, tag, releases } = assembly;
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
  const address = { host: hostname(), port: settings.port, listen: settings.host };
  const own = { tag, metrics, address, sharePort };
  const pages = openMetricsPages({ connection: commands, keys, catalogue, ...own });
  releases.push(() => void pages.stop());
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

/** Begins to listen. */
async function openServer(
  { settings, log, sharePort, uws }: Assembly,
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

function spansOf({ tracing }: Assembly): TaskSpans | undefined {
  return tracing === undefined ? undefined : new TaskSpans(tracing, systemAmbient.mono);
}

/** Ollama's management, carried out by the workers, and what the live page lets admins do. */
function openManagement(parts: {
  catalogue: Catalogue;
  board: Switchboard;
  keyring: Keyring;
  commands: Connection;
  keys: Keys;
  metrics: GatewayMetrics;
  unknownModel: (fault: Fault) => Fault;
}): readonly Route[] {
  const { catalogue, board, keyring, commands, keys, metrics, unknownModel } = parts;
  const errands = new Errands({
    now: () => board.now(),
    mono: () => board.mono(),
    newTaskId: () => board.newTaskId(),
    accept: (task, key, reply) => {
      board.accept(task, key, reply);
    },
    dropQueue: (key) => {
      dropQueue(commands, keys, key).catch(() => undefined);
    },
  });
  catalogue.onRefresh(() => {
    errands.workersAre(catalogue.workers);
    board.endUnread();
  });
  const show = new ShowView({ catalogue, errands, unknownModel, mono: systemAmbient.mono });
  metrics.observe("show_cache_bytes", "Bytes of answers to /api/show that are kept", () => show.keptBytes);
  const orders = managementRoutes({
    catalogue,
    errands,
    show,
    keyring,
    unknownModel,
    unready: () => board.unready() ?? board.overloaded(),
  });
  return [...orders, ...adminRoutes({ connection: commands, keys, keyring, catalogue, board })];
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
