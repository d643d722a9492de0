import { setTimeout as delay } from "node:timers/promises";
import { systemAmbient } from "../core/ambient.ts";
import { Fault, toFault } from "../core/fault.ts";
import { ownFault } from "../core/own-stall.ts";
import { isOver } from "../core/phase.ts";
import type { Endpoint, Task } from "../core/task.ts";
import type { Settings } from "../config/settings.ts";
import { heartbeatOf } from "../protocols/heartbeats.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { trimReply } from "../redis/reply-stream.ts";
import type { Log } from "../telemetry/log.ts";
import { ownStalls } from "../telemetry/stall-meter.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { Admission } from "./admission.ts";
import { badPayloadTo } from "./bad-payload.ts";
import { observeBoard } from "./board-gauges.ts";
import type { Catalogue } from "./catalogue.ts";
import { ClientDigests } from "./client-digest.ts";
import { ClaimWatch } from "./claim-watch.ts";
import { Cleaner } from "./cleaner.ts";
import { Comeback } from "./comeback.ts";
import { destinationOf, lackOf } from "./destination.ts";
import type { Destination } from "./destination.ts";
import { Exchange } from "./exchange.ts";
import type { ExchangeHost, Outcome } from "./exchange.ts";
import type { HeldReplies } from "./held-replies.ts";
import type { HttpReply, HttpRequest, RequestHeaders } from "./http.ts";
import { takeRequest } from "./intake.ts";
import type { IntakeHost, Refusal } from "./intake.ts";
import { Keyring } from "./keyring.ts";
import { LargeBodies } from "./large-bodies.ts";
import type { BodyKind, OpenedBody } from "./opened-body.ts";
import { Opener } from "./opener.ts";
import { openTask } from "./opening.ts";
import type { Porch } from "./porch.ts";
import { Recovery } from "./recovery.ts";
import { Replies } from "./replies.ts";
import { Reporter } from "./reporter.ts";
import { SlowClients } from "./slow-clients.ts";
import { QueueWatch } from "./queue-watch.ts";
import type { TaskSpans } from "./task-spans.ts";
import { TimeoutPolicy } from "./timeout-policy.ts";
import type { OwnTimeouts } from "./timeout-policy.ts";
import type { Witness } from "./witness.ts";

export interface SwitchboardOptions {
  readonly settings: Settings;
  readonly log: Log;
  readonly tag: string;
  readonly keys: Keys;
  readonly commands: Connection;
  readonly channel: Connection;
  /** Of these two connections. */
  readonly porch: Porch;
  readonly catalogue: Catalogue;
  readonly metrics: GatewayMetrics;
  readonly witness: Pick<Witness, "ended" | "refused">;
  /** The bound on all replies that this gateway holds; unbounded when absent. */
  readonly held?: HeldReplies;
  /** See {@link IntakeHost}. */
  readonly unknownModel?: (fault: Fault) => Fault;
  /** Absent when nobody collects spans. */
  readonly spans?: TaskSpans | undefined;
}

/** Connects requests with their replies: takes tasks in, hands frames out, cleans up behind them. */
export class Switchboard implements ExchangeHost, IntakeHost {
  readonly comeback: Comeback;
  readonly #options: SwitchboardOptions;
  readonly #replies: Replies;
  readonly #opener: Opener;
  readonly #recovery: Recovery;
  readonly #reporter: Reporter;
  readonly #cleaner: Cleaner;
  readonly #slowClients: SlowClients;
  readonly #queueWatch: QueueWatch;
  readonly #claimWatch: ClaimWatch;
  readonly #timeouts: TimeoutPolicy;
  readonly #clients: ClientDigests;
  readonly #admission: Admission;
  readonly #largeBodies: LargeBodies;
  readonly #keyring: Keyring;
  /** Whoever wants to know how a certain task ends. */
  readonly #watchers = new Map<string, (outcome: Outcome) => void>();
  #count = 0;
  #draining = false;
  #leaving = false;
  /** Ends the wait for no open task. */
  #idle: AbortController | undefined;

  constructor(options: SwitchboardOptions) {
    const { commands: connection, keys, metrics, log, settings } = options;
    const { mono } = systemAmbient;
    const time = { mono, stalls: ownStalls };
    this.#options = options;
    this.#admission = new Admission(options.settings, mono);
    this.#largeBodies = readerOf(log);
    this.#keyring = new Keyring(options.settings);
    this.#replies = new Replies({
      connection,
      keys,
      ...time,
      hasRoom: () => options.held?.hasRoom() ?? true,
      onGapFilled: () => metrics.gapFilled(),
      onFrames: (count, bytes) => {
        metrics.frames(count, bytes);
      },
      onLook: (exchange) => {
        this.#slowClients.look(exchange);
        this.#beat(exchange);
      },
      onSilent: (exchange) => {
        this.#recovery.silent(exchange);
      },
      onOverdue: (exchange) => {
        this.#queueWatch.overdue(exchange);
      },
      onBadPayload: badPayloadTo(log),
    });
    const { leaseMs } = settings;
    this.#claimWatch = new ClaimWatch({ connection, keys, leaseMs, exchanges: this.exchanges });
    this.#queueWatch = new QueueWatch({ connection, keys, replies: this.#replies, leaseMs, mono });
    this.#slowClients = new SlowClients({ connection, keys, patienceMs: settings.slowClientMs, ...time });
    this.#timeouts = new TimeoutPolicy(settings);
    this.#clients = new ClientDigests(settings.apiKeys, settings.host);
    const serves = (model: string): boolean => options.catalogue.serves(model);
    this.#reporter = new Reporter({ log, metrics, spans: options.spans, serves });
    this.#opener = new Opener({ connection, keys });
    this.#cleaner = new Cleaner({ connection, keys, mono });
    this.#recovery = new Recovery({
      connection,
      keys,
      replies: this.#replies,
      opener: this.#opener,
      ...time,
      onUnwanted: (exchange) => {
        this.#cleaner.abandoned(exchange);
      },
    });
    const mend = async (): Promise<boolean> => this.#mend();
    this.comeback = new Comeback({ connection, key: keys.channel(options.tag), mend });
    options.channel.onReconnect(() => {
      this.#replies.fillAll();
    });
    observeBoard({
      ...options,
      exchanges: this.exchanges,
      held: () => this.#slowClients.held,
    });
  }

  /** The cleaner has begun by itself. */
  async #mend(): Promise<boolean> {
    const [reopened] = await Promise.all([this.#recovery.reconnected(), this.#cleaner.settled()]);
    return reopened;
  }

  /** Open tasks. */
  get open(): number {
    return this.#replies.size;
  }

  /** True when no client waits for an answer, or for the reading of a body. */
  get #isIdle(): boolean {
    return this.open === 0 && this.#largeBodies.size === 0;
  }

  /** The exchanges that are open now, in no order. */
  readonly exchanges = (): Exchange[] => this.#replies.all();

  start(): void {
    this.#replies.start();
    this.#claimWatch.start();
  }

  stop(): void {
    this.#replies.stop();
    this.#claimWatch.stop();
    this.#recovery.stop();
    this.#cleaner.stop();
    this.#largeBodies.close();
  }

  /** A message of the gateway's channel. */
  receive(message: Buffer): void {
    this.#replies.receive(message);
  }

  /** Why no request can be served now; undefined when they can. */
  unready(): Fault | undefined {
    const { commands, channel } = this.#options;
    if (this.#draining) return new Fault("draining", "the gateway is stopping");
    if (commands.ready && channel.ready) return undefined;
    const stalledMs = ownStalls.brokeLinks;
    if (stalledMs > 0) return ownFault(stalledMs, "it connects to Redis again");
    return new Fault("redis_down", "Redis is not reachable");
  }

  /** As {@link unready}, and already so while a gateway that is about to stop still takes requests. */
  unavailable(): Fault | undefined {
    return this.#leaving ? new Fault("draining", "the gateway is about to stop") : this.unready();
  }

  /** From now on load balancers are told to go elsewhere; whoever comes is served. Resolves `graceMs` later. */
  async leave(graceMs: number): Promise<void> {
    this.#leaving = true;
    if (graceMs > 0) await delay(graceMs);
  }

  take(endpoint: Endpoint, request: HttpRequest, reply: HttpReply): void {
    takeRequest(this, endpoint, request, reply);
  }

  /** Refuses new requests from now on; resolves when no task is open or after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    this.#draining = true;
    if (this.#isIdle) return;
    this.#idle = new AbortController();
    await delay(limitMs, undefined, { signal: this.#idle.signal }).catch(() => undefined);
  }

  /** Ends every open task with a fault. */
  failAll(fault: Fault): void {
    for (const exchange of this.#replies.all()) exchange.fail(fault);
  }

  now(): number {
    return systemAmbient.now();
  }

  newTaskId(): string {
    this.#count += 1;
    return `${this.#options.tag}.${this.#count.toString(36)}`;
  }

  timeoutsOf(model: string, header: string): OwnTimeouts {
    return this.#timeouts.of(model, header);
  }

  async openLarge(kind: BodyKind, body: Buffer, isWanted: () => boolean): Promise<OpenedBody> {
    return this.#largeBodies.open(kind, body, isWanted);
  }

  clientOf(request: HttpRequest): string | undefined {
    return this.#clients.of(request);
  }

  destinationOf(endpoint: Endpoint, name: string): Destination {
    return destinationOf(this.#options.catalogue, endpoint, name, this.#options.unknownModel);
  }

  /** Ends tasks whose model has lost the endpoint that they wait for. To be called when the fleet was looked at. */
  endUnread(): void {
    const { catalogue, unknownModel: instead } = this.#options;
    for (const exchange of this.#replies.all().filter(({ begun }) => !begun)) {
      const lack = lackOf(catalogue, exchange, instead);
      if (lack !== undefined) this.#queueWatch.unread(exchange, lack);
    }
  }

  /** `replies_full` or `overloaded` when not one more task may be opened, else undefined. */
  overloaded(): Fault | undefined {
    return this.#options.held?.refusal() ?? this.#admission.overloaded();
  }

  admit(model: string, bytes: number): void {
    const full = this.#options.held?.refusal();
    if (full !== undefined) throw full;
    this.#admission.admit(model, bytes);
  }

  rejected(refusal: Refusal): void {
    if (this.#isIdle) this.#idle?.abort();
    this.#reporter.refused(refusal);
    this.#options.witness.refused(refusal);
  }

  isAdmin(headers: RequestHeaders): boolean {
    return this.#keyring.isAdmin(headers);
  }

  accept(given: Task, queue: string, reply: HttpReply): void {
    const task = this.#options.spans?.begin(given) ?? given;
    const exchange = new Exchange({ task, queue, reply, host: this });
    this.#replies.add(exchange);
    this.#admission.opened(exchange.model, exchange.bodyBytes);
    this.#options.metrics.opened(task.endpoint);
    void this.#open(exchange);
  }

  /** `onOver` is told how this task ends, once. To be called before the task is accepted. */
  watch(task: string, onOver: (outcome: Outcome) => void): void {
    this.#watchers.set(task, onOver);
  }

  async #open(exchange: Exchange): Promise<void> {
    const { porch, metrics } = this.#options;
    const { mono } = systemAmbient;
    try {
      const entry = await openTask(exchange, { opener: this.#opener, porch, mono });
      if (entry === undefined) return;
      exchange.queued(entry);
      metrics.queued((mono() - exchange.startedAt) / 1000);
      // Its end, when it came before Redis had told the entry, could not take the entry back.
      if (isOver(exchange.phase)) this.#cleaner.abandoned(exchange);
    } catch (error) {
      exchange.fail(toFault(error));
    }
  }

  mono(): number {
    return systemAmbient.mono();
  }

  fill(exchange: Exchange): void {
    this.#replies.fill(exchange);
  }

  hold(exchange: Exchange, isHeld: boolean): void {
    this.#slowClients.hold(exchange, isHeld);
  }

  trim(exchange: Exchange): void {
    const { commands, keys } = this.#options;
    trimReply(commands, keys, exchange.cursor).catch(() => undefined);
  }

  over(exchange: Exchange, outcome: Outcome): void {
    this.#slowClients.forget(exchange);
    this.#replies.remove(exchange);
    this.#admission.ended(exchange.model, exchange.bodyBytes);
    if (outcome.abandon || exchange.requeued) this.#cleaner.abandoned(exchange);
    else this.#cleaner.answered(exchange);
    this.#reporter.ended(exchange, outcome);
    this.#options.witness.ended(exchange, outcome);
    if (this.#watchers.size > 0) this.#tellWatcher(exchange, outcome);
    if (this.#isIdle) this.#idle?.abort();
  }

  #tellWatcher({ task }: Exchange, outcome: Outcome): void {
    this.#watchers.get(task.id)?.(outcome);
    this.#watchers.delete(task.id);
  }

  #beat(exchange: Exchange): void {
    const { heartbeatMs, ndjsonHeartbeat: ndjson } = this.#options.settings;
    if (heartbeatMs === 0) return;
    exchange.beat(heartbeatMs, () => heartbeatOf(exchange.task, { ndjson, now: this.now() }));
  }
}

function readerOf(log: Log): LargeBodies {
  return new LargeBodies({
    onDied: (error) => {
      log.error("the thread that reads large bodies died", { reason: error?.message ?? "it ended" });
    },
  });
}
