import { connect, type Socket } from "node:net";
import { LocalTcp } from "../rig/local-tcp.ts";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

interface Delayed {
  readonly chunk: Buffer;
  /** Mono ms of its delivery. */
  readonly at: number;
}

/** A TCP proxy on loopback that can behave like a bad network. */
export class Link {
  readonly #server: LocalTcp;
  readonly #target: () => number;
  readonly #pairs = new Set<Pair>();
  #state: "open" | "cut" | "stalled" = "open";
  #delayMs = 0;

  private constructor(target: () => number) {
    this.#target = target;
    this.#server = new LocalTcp((near) => this.#accept(near));
  }

  /** @param target port on 127.0.0.1 to forward to, asked at each connection */
  static async open(target: () => number): Promise<Link> {
    const link = new Link(target);
    await link.#server.listen();
    return link;
  }

  get port(): number {
    return this.#server.port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** All connections break, new ones are hung up on. */
  cut(): void {
    this.#state = "cut";
    this.#breakAll();
  }

  /** One connection breaks; `choice` counts modulo how many there are. */
  cutOne(choice: number): void {
    const pairs = [...this.#pairs];
    const pair = pairs[choice % Math.max(1, pairs.length)];
    if (pair !== undefined) breakUp(pair);
  }

  /** Nothing arrives any more on either side, yet no connection ends: a network that drops every packet. */
  stall(): void {
    this.#state = "stalled";
    for (const pair of this.#pairs) pause(pair);
  }

  /** Delays every piece by this time, ms. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /**
   * Ends all faults. Pieces held by a stall arrive late. When `lose` is true they never do, and the connections break.
   */
  mend(lose = false): void {
    this.#state = "open";
    this.#delayMs = 0;
    if (lose) this.#breakAll();
    for (const { near, far } of this.#pairs) {
      near.resume();
      far.resume();
    }
  }

  async close(): Promise<void> {
    this.#breakAll();
    await this.#server.stop();
  }

  #accept(near: Socket): void {
    if (this.#state === "cut") {
      near.destroy();
      return;
    }
    const far = connect({ port: this.#target(), host: "127.0.0.1", noDelay: true });
    near.setNoDelay(true);
    const pair = { near, far };
    this.#pairs.add(pair);
    this.#forward(near, far, pair);
    this.#forward(far, near, pair);
    if (this.#state === "stalled") pause(pair);
  }

  #forward(from: Socket, to: Socket, pair: Pair): void {
    // Bytes never overtake each other: while some wait, all that follow wait behind them.
    const waiting: Delayed[] = [];
    const deliver = (): void => {
      const now = performance.now();
      for (let first = waiting[0]; first !== undefined && first.at <= now; first = waiting[0]) {
        waiting.shift();
        send(first.chunk, from, to);
      }
      const next = waiting[0];
      if (next !== undefined) setTimeout(deliver, next.at - now);
    };
    from.on("data", (chunk: Buffer) => {
      if (this.#delayMs === 0 && waiting.length === 0) {
        send(chunk, from, to);
        return;
      }
      const at = Math.max(waiting.at(-1)?.at ?? 0, performance.now() + this.#delayMs);
      waiting.push({ chunk, at });
      if (waiting.length === 1) setTimeout(deliver, this.#delayMs);
    });
    to.on("drain", () => {
      if (this.#state !== "stalled") from.resume();
    });
    from.on("error", () => breakUp(pair));
    from.on("close", () => {
      breakUp(pair);
      this.#pairs.delete(pair);
    });
  }

  #breakAll(): void {
    for (const pair of this.#pairs) breakUp(pair);
  }
}

function send(chunk: Buffer, from: Socket, to: Socket): void {
  if (to.destroyed) return;
  if (!to.write(chunk)) from.pause();
}

function pause({ near, far }: Pair): void {
  near.pause();
  far.pause();
}

function breakUp({ near, far }: Pair): void {
  near.destroy();
  far.destroy();
}
