import type { Settings } from "../../config/settings.ts";
import { systemAmbient } from "../../core/ambient.ts";
import { Fault } from "../../core/fault.ts";
import { TimeoutPolicy } from "../../core/timeout-policy.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { Stores } from "../../redis/stores.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Log } from "../../telemetry/log.ts";
import { processStalls } from "../../telemetry/stall-detector.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import type { AccessControl } from "../access/access-control.ts";
import { ClientDigests } from "../http/keyring.ts";
import { Admission } from "./admission.ts";
import { Availability } from "./availability.ts";
import { ClaimPoll } from "./claim-poll.ts";
import { Cleaner } from "./cleaner.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Enqueuer } from "./enqueuer.ts";
import type { Exchange } from "./exchange.ts";
import { FailoverSync } from "./failover-sync.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { HeldReplies } from "./admission.ts";
import { Intake } from "./intake.ts";
import type { IntakeRules } from "./intake.ts";
import { LargeBodies } from "./large-bodies.ts";
import { OpenCharges } from "./open-charges.ts";
import type { OutageBuffer } from "./availability.ts";
import { endUnread, QueueTimeout } from "./queue-timeout.ts";
import { Recovery } from "./recovery.ts";
import { ReplyRouter } from "./reply-router.ts";
import { SlowClients } from "./slow-clients.ts";
import type { TaskObserver } from "./task-observer.ts";
import { TokenEstimates } from "./token-estimates.ts";
import { Watchdog } from "./watchdog.ts";

/** The two connections of a gateway to Redis, and its name there. */
export interface GatewayLinks {
  readonly tag: string;
  readonly commands: Connection;
  /** Stores of the command connection. */
  readonly stores: Stores;
  /** For subscriptions. */
  readonly channel: Connection;
  /** Stores of the connection for subscriptions. */
  readonly listening: Pick<Stores, "access" | "openSlots" | "registry" | "replies">;
  /** Watches both connections. */
  readonly outageBuffer: OutageBuffer;
}

export interface RequestPathOptions {
  // 9 fields: the parts of a gateway that its requests pass through
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: GatewayMetrics;
  readonly links: GatewayLinks;
  readonly catalogue: Catalogue;
  readonly access: Pick<AccessControl, "keyring" | "limits">;
  /** The fault to send instead of one on a model that no worker serves; the same when absent. */
  readonly unknownModel?: (fault: Fault) => Fault;
  /** The bound on all replies that this gateway holds; unbounded when absent. */
  readonly held?: HeldReplies;
  readonly observers: readonly TaskObserver[];
}

/** Sends tasks of the gateway's own: reruns of dead letters, management requests. */
export interface TaskSender extends Pick<Dispatcher, "newTaskId" | "accept" | "watch"> {
  /** Ms since 1970. */
  now(): number;
  /** Throws `replies_full`, `overloaded` or `queue_full` when one more task is too much. */
  admit(model: string, bytes: number): void;
}

/** The way of requests through a gateway, wired: one field for each use by another part of the gateway. */
export interface RequestPath {
  readonly take: Intake["take"];
  readonly sender: TaskSender;
  readonly availability: Availability;
  readonly failoverSync: FailoverSync;
  /** `replies_full` or `overloaded` when not one more task may be opened, else undefined. */
  readonly overloaded: () => Fault | undefined;
  /** The open exchanges, in no order. */
  readonly exchanges: () => Exchange[];
  /** Replies whose backend is paused for a slow client. */
  readonly paused: () => number;
  /** Subscribes to the gateway's channel and starts the timers. Rejects with `redis_down`. */
  readonly start: () => Promise<void>;
  /** Ends every open task with `draining`. Stops timers and threads, and sends the last removals to Redis. */
  readonly stop: () => void;
}

/** Wires the parts of the request path. */
export function assembleRequestPath(options: RequestPathOptions): RequestPath {
  const { settings, catalogue, links, unknownModel: instead } = options;
  const { tag, commands, channel, listening, outageBuffer } = links;
  const replyParts = openReplyParts(options);
  const { replies, slowClients, enqueuer, cleaner } = replyParts;
  const admission = new Admission(settings, systemAmbient.mono, options.held);
  const largeBodies = readerOf(options.log);
  const availability = new Availability({
    connections: [commands, channel],
    stalls: processStalls,
    isIdle: () => replies.size === 0 && largeBodies.size === 0 && intake.charging === 0,
  });
  const charges = new OpenCharges();
  const observers = [...options.observers, charges, availability];
  const accepting = { tag, outageBuffer, admission, charges, observers };
  const dispatcher = new Dispatcher({ ...accepting, replies, slowClients, enqueuer, cleaner });
  const { now } = systemAmbient;
  const rules = rulesOf(options);
  const intake = new Intake({ ...accepting, availability, largeBodies, dispatcher, rules, now });
  const upkeep = openUpkeep(options, replyParts);
  catalogue.onRefresh(() => {
    endUnread(replies.all(), catalogue, { queueTimeout: upkeep.queueTimeout, instead });
  });
  return {
    take: intake.take,
    sender: {
      now,
      newTaskId: () => dispatcher.newTaskId(),
      admit: (model, bytes) => admission.admit(model, bytes),
      accept: (task, queue, reply) => dispatcher.accept(task, queue, reply),
      watch: (task, onOver) => dispatcher.watch(task, onOver),
    },
    availability,
    failoverSync: upkeep.failoverSync,
    overloaded: () => admission.overloaded(),
    exchanges: replies.all,
    paused: () => slowClients.paused,
    start: async () => {
      await listening.replies.listen(tag, replies.receive);
      upkeep.start();
    },
    stop: () => {
      const fault = new Fault("draining", "the gateway is stopping");
      for (const exchange of replies.all()) exchange.fail(fault);
      upkeep.stop();
      largeBodies.close();
    },
  };
}

/** Parts that every exchange uses. */
interface ReplyParts {
  readonly replies: ReplyRouter;
  readonly slowClients: SlowClients;
  readonly enqueuer: Enqueuer;
  readonly cleaner: Cleaner;
}

function openReplyParts({ settings, log, metrics, links, held }: RequestPathOptions): ReplyParts {
  const { commands: connection, stores } = links;
  const time = { mono: systemAmbient.mono, stalls: processStalls };
  const hasRoom = (): boolean => held?.hasRoom() ?? true;
  const replies = new ReplyRouter({ stores, log, metrics, stalls: processStalls, hasRoom });
  links.channel.onReconnect(() => {
    replies.fillAll();
  });
  return {
    replies,
    slowClients: new SlowClients({ stores, ...time, patienceMs: settings.slowClientMs }),
    enqueuer: new Enqueuer({ connection, stores }),
    cleaner: new Cleaner({ connection, stores, mono: systemAmbient.mono, awake: processStalls.awake }),
  };
}

/** Parts that watch over open exchanges. */
interface Upkeep {
  readonly queueTimeout: QueueTimeout;
  readonly failoverSync: FailoverSync;
  readonly start: () => void;
  readonly stop: () => void;
}

function openUpkeep({ settings, links }: RequestPathOptions, parts: ReplyParts): Upkeep {
  const { mono, now } = systemAmbient;
  const { replies, slowClients, enqueuer, cleaner } = parts;
  const redis = { connection: links.commands, stores: links.stores };
  const time = { mono, stalls: processStalls };
  const { leaseMs } = settings;
  const recovery = new Recovery({ ...redis, ...time, replies, enqueuer, cleaner });
  const queueTimeout = new QueueTimeout({ ...redis, replies, leaseMs, mono });
  const claimPoll = new ClaimPoll({ ...redis, leaseMs, exchanges: replies.all });
  const heartbeats = new Heartbeats(settings, now);
  const watchdog = new Watchdog({ ...time, replies, queueTimeout, recovery, slowClients, heartbeats });
  // The cleaner was built before: it repeats its removals before this waits for them.
  const failoverSync = new FailoverSync({ ...redis, tag: links.tag, recovery, cleaner });
  return {
    queueTimeout,
    failoverSync,
    start: () => {
      watchdog.start();
      claimPoll.start();
    },
    stop: () => {
      watchdog.stop();
      claimPoll.stop();
      recovery.stop();
      cleaner.stop();
    },
  };
}

function rulesOf({ settings, catalogue, access, unknownModel }: RequestPathOptions): IntakeRules {
  return {
    catalogue,
    unknownModel,
    timeouts: new TimeoutPolicy(settings),
    keyring: access.keyring,
    limits: access.limits,
    estimates: new TokenEstimates(),
    clients: new ClientDigests(settings.apiKeys, settings.host),
  };
}

function readerOf(log: Log): LargeBodies {
  return new LargeBodies({
    onDied: (error) => {
      log.error("the thread that reads large bodies died", { reason: error?.message ?? "it ended" });
    },
  });
}
