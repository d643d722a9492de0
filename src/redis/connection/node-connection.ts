import { setTimeout as delay } from "node:timers/promises";
import { Fault } from "../../core/fault.ts";
import { processStalls } from "../../telemetry/stall-detector.ts";
import { commandError } from "./command-error.ts";
import type { Argument, Connection } from "./connection.ts";
import { downFault } from "./outages.ts";
import type { Client } from "./redis-client.ts";
import { isReplyError, outageCode } from "./reply-error.ts";
import { runOf } from "./server.ts";
import { hashTag } from "./slots.ts";

/** Pause between two pings of a Redis that loads its data, ms. */
const LOADING_PAUSE_MS = 100;

/** A connection to one server. */
export class NodeConnection implements Connection {
  readonly sharded = false;
  readonly #client: Client;
  readonly #onReconnect: ((moved: boolean) => void)[] = [];
  readonly #onDown: ((error: unknown) => void)[] = [];
  readonly #staysDown: boolean;
  #opened = false;
  #closed = false;
  /** It has answered a ping with an error since its last sound answer. */
  #answersErrors = false;
  /** A connection with subscriptions can send no other command (RESP 2). */
  #subscribed = false;
  /** Run of the server at the other end; undefined while unknown. */
  #run: string | undefined;
  /** The check that began at the latest reconnect, while it lasts. */
  #check: symbol | undefined;

  /** @param staysDown true when it does not reconnect by itself */
  constructor(client: Client, staysDown: boolean) {
    this.#client = client;
    this.#staysDown = staysDown;
    // Every failed (re)connect is an error event.
    client.on("error", (error) => {
      if (client.isReady) this.#handleError(error);
      this.#notifyDown(error);
    });
    client.on("ping-interval", () => {
      this.#recovered();
    });
    client.on("sharded-channel-moved", () => {
      this.#notifyDown(new Fault("redis_down", "a channel has moved to another node"));
    });
    client.on("ready", () => {
      if (this.#opened) void this.#verify();
    });
  }

  /** @param limitMs longest time to wait. When absent: as long as the system tries. */
  async open(limitMs?: number): Promise<void> {
    const failed = Promise.withResolvers<never>();
    const onError = (error: unknown): void => {
      failed.reject(new Fault("redis_down", "Redis cannot be reached", { cause: error }));
    };
    if (limitMs !== undefined) processStalls.signal(limitMs).addEventListener("abort", onError);
    this.#client.once("error", onError);
    const opening = this.#client.connect();
    opening.catch(onError);
    await Promise.race([opening, failed.promise]);
    this.#client.off("error", onError);
    this.#opened = true;
  }

  /** Reads the run of the server, for the next reconnect. Never rejects. */
  async rememberRun(): Promise<void> {
    const run = await runOf(this);
    this.#run ??= run;
  }

  get ready(): boolean {
    return this.#client.isReady && this.#check === undefined;
  }

  async command(...args: Argument[]): Promise<unknown> {
    if (!this.ready) throw downFault("Redis is not connected");
    return this.#send(args);
  }

  async #send(args: Argument[]): Promise<unknown> {
    try {
      return await this.#client.sendCommand(args);
    } catch (error) {
      throw commandError(error, args);
    }
  }

  async everywhere(...args: Argument[]): Promise<unknown[]> {
    return [await this.command(...args)];
  }

  async subscribe(channel: string, listener: (message: Buffer) => void): Promise<void> {
    this.#assertSubscribable();
    this.#subscribed = true;
    await subscribing("SUBSCRIBE", this.#client.subscribe(channel, listener, true));
  }

  /** Subscribes at a node of a Redis Cluster: a channel with a hash tag is published within its slot only. */
  async subscribeInCluster(channel: string, listener: (message: Buffer) => void): Promise<void> {
    if (hashTag(channel) === undefined) return this.subscribe(channel, listener);
    this.#assertSubscribable();
    this.#subscribed = true;
    return subscribing("SSUBSCRIBE", this.#client.sSubscribe(channel, listener, true));
  }

  /** @throws Fault `redis_down`. The client keeps a subscription for its next connection, and there will be none. */
  #assertSubscribable(): void {
    if (this.#staysDown && !this.#client.isReady) throw downFault("Redis is not connected");
  }

  serverOf(): string | undefined {
    return this.#run;
  }

  onReconnect(listener: (moved: boolean) => void): void {
    this.#onReconnect.push(listener);
  }

  onDown(listener: (error: unknown) => void): void {
    this.#onDown.push(listener);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.destroy();
  }

  /**
   * Runs after a reconnect. The connection is up when the server has its data and its run is known.
   * Nothing may be claimed before that: a restarted server may have lost the last removals.
   */
  async #verify(): Promise<void> {
    const check = Symbol();
    this.#check = check;
    let run: string | undefined;
    if (!this.#subscribed) {
      const sender = { command: async (...args: Argument[]) => this.#send(args) };
      run = await runOf(sender);
      while (this.#check === check && (await this.#isLoading())) await delay(LOADING_PAUSE_MS);
    }
    // Otherwise it broke again: a later check is under way, or comes with the next reconnect.
    if (this.#check !== check || !this.#client.isReady) return;
    this.#check = undefined;
    this.#answersErrors = false;
    const moved = run === undefined || run !== this.#run;
    this.#run = run;
    for (const listener of this.#onReconnect) listener(moved);
  }

  /**
   * Handles an error that the client reports while its socket is sound. Either a ping was answered with an error, or
   * a reply came that no command waits for. After the latter the client mistakes pushed messages for replies.
   * No reply can be assigned to its command any more, so the client connects anew.
   */
  #handleError(failure: unknown): void {
    if (isReplyError(failure)) {
      this.#answersErrors = true;
      return;
    }
    this.#client.destroy();
    // A failed attempt is an error event, too.
    if (!this.#staysDown) this.#client.connect().catch(() => undefined);
  }

  #recovered(): void {
    if (!this.#answersErrors || !this.ready) return;
    this.#answersErrors = false;
    for (const listener of this.#onReconnect) listener(false);
  }

  /** True while the server loads its data; false also when the connection broke. */
  async #isLoading(): Promise<boolean> {
    try {
      await this.#send(["PING"]);
      return false;
    } catch (error) {
      const isLoading = outageCode(error) === "LOADING";
      if (isLoading) this.#notifyDown(error);
      return isLoading;
    }
  }

  #notifyDown(error: unknown): void {
    if (this.#closed || !this.#opened) return;
    for (const listener of this.#onDown) listener(error);
  }
}

async function subscribing(command: string, subscribed: Promise<void>): Promise<void> {
  try {
    await subscribed;
  } catch (error) {
    throw commandError(error, [command]);
  }
}
