import type { Backend } from "../backends/backend.ts";
import type { Watch } from "../backends/open.ts";
import type { Settings } from "../config/settings.ts";
import { productBuild, productVersion } from "../config/version.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { Connection } from "../redis/connection.ts";
import { Keys } from "../redis/keys.ts";
import { MetricsReporter } from "../redis/metrics-reporter.ts";
import { requireSupported, uptimeMs } from "../redis/server.ts";
import { keepQueues } from "../redis/task-stream.ts";
import type { Log } from "../telemetry/log.ts";
import { tellOwnStalls } from "../telemetry/own-stalls-told.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import { openWorkerMetrics } from "../telemetry/worker-metrics.ts";
import type { WorkerMetrics } from "../telemetry/worker-metrics.ts";
import { Acknowledger } from "./acknowledger.ts";
import { Claimer } from "./claimer.ts";
import type { ClaimerOptions } from "./claimer.ts";
import { Emitter } from "./emitter.ts";
import { ErrandDesk } from "./errand-desk.ts";
import { Hiring } from "./hiring.ts";
import type { HiringOptions } from "./hiring.ts";
import { Keeper } from "./keeper.ts";
import { Peers } from "./peers.ts";
import { Presence } from "./presence.ts";
import { Prober } from "./prober.ts";
import { Refuser } from "./refuser.ts";
import { Resting } from "./resting.ts";
import { Returner } from "./returner.ts";
import { Roll } from "./roll.ts";
import { Runner } from "./runner.ts";
import { Station } from "./station.ts";
import type { StationOptions } from "./station.ts";
import { Sweeper } from "./sweeper.ts";
import { Trust } from "./trust.ts";

/** What a worker is started with. */
export interface WorkerOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly backends: readonly Backend[];
  /** Finds backends that come later; absent when they are all known. */
  readonly watch?: Watch | undefined;
  /** Its id, where it was announced before; a new one when absent. */
  readonly id?: string;
  /** Absent when nobody collects spans. */
  readonly tracing?: Tracing | undefined;
}

/** What is left of the queues of a worker that was killed, ms. */
const ERRAND_QUEUE_MS = 60_000;

const { mono, random } = systemAmbient;

/** The connections of one worker, closed by whoever opened them. */
export interface Connections {
  readonly open: (role: string) => Promise<Connection>;
  readonly connections: readonly Connection[];
}

interface Links {
  readonly writes: Connection;
  readonly leases: Connection;
  readonly control: Connection;
}

/** The parts of a worker, none of which has begun. */
export interface Crew extends Links {
  readonly keys: Keys;
  readonly worker: string;
  readonly log: Log;
  readonly stations: readonly Station[];
  readonly acknowledger: Acknowledger;
  readonly emitter: Emitter;
  readonly roll: Roll;
  readonly keeper: Keeper;
  readonly sweeper: Sweeper;
  readonly resting: Resting;
  readonly prober: Prober;
  readonly presence: Presence;
  readonly reporter: MetricsReporter;
  readonly claimers: readonly Claimer[];
  /** Those of the start, and those that were taken on since. */
  readonly backends: readonly Backend[];
  readonly hiring: Hiring;
  /** Ends the telling of this process's own stalls. */
  readonly forgetStalls: () => void;
}

/**
 * Makes the parts of a worker and connects them. Rejects with `redis_down`, and with `internal` when
 * Redis cannot be used.
 */
export async function recruit(options: WorkerOptions, worker: string, redis: Connections): Promise<Crew> {
  const { settings, log, tracing } = options;
  const { leaseMs, deliveryLimit, busyLimit, startupMs } = settings;
  const keys = new Keys(settings.prefix);
  const links = { ...(await openLinks(redis)), keys };
  const metrics = openWorkerMetrics({ version: productVersion(), build: productBuild() });
  const { stations, stationOf, peers, prober } = recruitStations(options, worker, {
    ...links,
    metrics,
    onLook: (station) => {
      void presence.look(station);
    },
    onChanged: async (station) => presence.lookAndTell(station),
    onSwap: swapTeller(metrics, log),
    onGate: (...news) => presence.gateChanged(...news),
  });
  const acknowledger = new Acknowledger({ connection: links.writes, keys, mono });
  const emitter = recruitEmitter(links, metrics);
  const trust = await recruitTrust(links, leaseMs, log);
  const roll = new Roll({ connection: links.leases, keys, mono, trust });
  const limits = { leaseMs, deliveryLimit, startupMs };
  const common = { ...systemAmbient, ...limits, keys, worker, log, roll, trust, acknowledger, tracing };
  const onUnreachable = (station: Station): void => {
    station.failed();
    void presence.look(station);
  };
  const sweep = (model: string): void => void sweeper.sweepModel(model);
  const resting = new Resting({ mono, onOver: sweep });
  const reading = { ...common, connection: links.leases, stations };
  const writing = { ...common, connection: links.writes, metrics };
  const returner = new Returner({ ...writing, busyLimit, peers, resting });
  const refuser = new Refuser({ ...writing, emitter });
  const runner = new Runner({ ...writing, emitter, refuser, returner, onUnreachable });
  const keeper = new Keeper(reading);
  const sweeper = new Sweeper({ ...reading, runner, refuser, resting, onReclaimed: metrics.reclaimed });
  const offer = { version: productVersion(), stations, metrics, onModel: sweep };
  const presence = new Presence({ ...common, ...offer, connection: links.leases });
  const run = runnerOfFirst({ sweeper, runner, metrics });
  const onLost = sweeper.lookForOrphans;
  const claims = { ...common, consumer: worker, bells: links.leases, onLost, run };
  const posts = { stations, stationOf, presence, backends: [...options.backends] };
  const roster = await openRoster(posts, redis, { claims, onDown: metrics.redisFailed });
  return {
    ...links,
    ...roster,
    worker,
    log,
    acknowledger,
    emitter,
    roll,
    keeper,
    sweeper,
    resting,
    prober,
    presence,
    reporter: new MetricsReporter({ connection: links.leases, key: keys.workerMetrics(worker), metrics }),
    forgetStalls: tellOwnStalls(log, metrics),
  };
}

/** Gives the stations claimers, and those of backends that come later, too. */
async function openRoster(
  posts: Omit<HiringOptions, "claimers" | "claimerOf">,
  redis: Connections,
  { claims, onDown }: { readonly claims: ClaimsOptions; readonly onDown: () => void },
): Promise<Pick<Crew, "stations" | "claimers" | "backends" | "hiring">> {
  const { stations, backends } = posts;
  const claimers = await recruitClaimers(stations, redis, claims);
  for (const connection of redis.connections) connection.onDown(onDown);
  const open = async (role: string): Promise<Connection> => {
    const connection = await redis.open(role);
    connection.onDown(onDown);
    return connection;
  };
  let index = claimers.length;
  const claimerOf = async (station: Station): Promise<Claimer> =>
    recruitClaimer({ station, index: index++ }, { ...redis, open }, claims);
  return { stations, claimers, backends, hiring: new Hiring({ ...posts, claimers, claimerOf }) };
}

/** Runs what a claimer brings, unless it was taken for an orphan when it was on the way. */
function runnerOfFirst(crew: {
  readonly sweeper: Sweeper;
  readonly runner: Runner;
  readonly metrics: WorkerMetrics;
}): ClaimerOptions["run"] {
  const { sweeper, runner, metrics } = crew;
  const { takeOver } = sweeper;
  return (station, task, askedAt) => {
    metrics.claimed(1);
    if (takeOver.takes(task)) sweeper.lookForOrphans();
    else runner.first(station, task, askedAt);
  };
}

function swapTeller(metrics: WorkerMetrics, log: Log): NonNullable<StationOptions["onSwap"]> {
  return ({ backend }, model, waitedMs) => {
    metrics.swapped(backend.name, waitedMs / 1000);
    log.debug("a model makes room for another", { backend: backend.name, model, waitedMs });
  };
}

/** The stations of a worker, and who judges them. */
interface Posts {
  readonly stations: Station[];
  readonly stationOf: (backend: Backend) => Station;
  readonly peers: Peers;
  readonly prober: Prober;
}

/** One station per backend, and one for errands to those that are Ollama servers. */
function recruitStations(
  { backends, watch, settings, log }: WorkerOptions,
  worker: string,
  links: Links & {
    readonly keys: Keys;
    readonly metrics: WorkerMetrics;
    readonly onChanged: (station: Station) => Promise<void>;
  } & Required<Pick<StationOptions, "onGate" | "onLook" | "onSwap">>,
): Posts {
  const { leases, keys, onChanged, onLook, onGate, onSwap, metrics } = links;
  const stations: Station[] = [];
  const peers = new Peers({ connection: leases, keys, worker, stations, mono });
  const prober = new Prober({ log, peers, metrics });
  const gates = { failures: settings.circuitFailures, mono, random };
  const { swapWaitMs, swapResidencyMs, modelsLoaded } = settings;
  const placement = { swapWaitMs, swapResidencyMs, modelsLoaded, mono };
  const placed = settings.placement === "off" ? {} : { placement, onLook, onSwap };
  const given = { gates, onGate, judgement: prober, ...placed };
  const stationOf = (backend: Backend): Station => new Station(backend, settings.slots, given);
  for (const backend of backends) stations.push(stationOf(backend));
  const posts = { stations, stationOf, peers, prober };
  const hasOllama = backends.some(({ kind, mayChange }) => kind === "ollama" || mayChange === true);
  if (!hasOllama && watch === undefined) return posts;
  const keep = async (queues: readonly string[]): Promise<void> =>
    keepQueues(leases, keys, queues, ERRAND_QUEUE_MS);
  const desk = new ErrandDesk({ worker, stations, keep, onChanged });
  stations.push(new Station(desk, 0, { announced: false }));
  return posts;
}

async function recruitClaimers(
  stations: readonly Station[],
  redis: Connections,
  options: ClaimsOptions,
): Promise<Claimer[]> {
  const claimers: Claimer[] = [];
  for (const [index, station] of stations.entries()) {
    claimers.push(await recruitClaimer({ station, index }, redis, options));
  }
  return claimers;
}

type ClaimsOptions = Omit<ClaimerOptions, "station" | "connection" | "farewell">;

/** A claimer blocks its connection, so each has one of its own. */
async function recruitClaimer(
  { station, index }: { readonly station: Station; readonly index: number },
  redis: Connections,
  options: ClaimsOptions,
): Promise<Claimer> {
  const connection = await redis.open("claims");
  const farewell = options.keys.farewell(`${options.consumer}.${index}`);
  return new Claimer({ ...options, station, connection, farewell });
}

/** Frames, heartbeats and subscriptions do not wait for each other. */
async function openLinks(redis: Connections): Promise<Links> {
  const writes = await redis.open("writes");
  await requireSupported(writes);
  return { writes, leases: await redis.open("leases"), control: await redis.open("control") };
}

/** After a start of Redis leases are not judged before all can have been renewed. */
async function recruitTrust({ leases }: Links, leaseMs: number, log: Log): Promise<Trust> {
  const delayMs = Math.max(0, 1.5 * leaseMs - (await uptimeMs(leases)));
  const trust = new Trust({ connection: leases, mono, leaseMs, delayMs, log });
  // What later looks are compared with.
  await trust.look();
  return trust;
}

function recruitEmitter(links: Links & { readonly keys: Keys }, metrics: WorkerMetrics): Emitter {
  return new Emitter({
    connection: links.writes,
    keys: links.keys,
    mono,
    onEmitted: (frames, bytes) => {
      metrics.emitted(frames, bytes);
    },
    onFenced: () => {
      metrics.fenced();
    },
  });
}
