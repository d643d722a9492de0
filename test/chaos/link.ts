import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** A TCP proxy on loopback that can behave like a bad network. */
export class Link {
  readonly #server: Server;
  readonly #target: () => number;
  readonly #pairs = new Set<Pair>();
  #state: "open" | "cut" | "stalled" = "open";
  #delayMs = 0;

  private constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer((near) => this.#accept(near));
  }

  /** @param target port on 127.0.0.1 to forward to, asked at each connection */
  static async open(target: () => number): Promise<Link> {
    const link = new Link(target);
    await new Promise<void>((resolve, reject) => {
      link.#server.once("error", reject);
      link.#server.listen(0, "127.0.0.1", resolve);
    });
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
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

  /** Every piece takes so much longer, ms. */
  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /**
   * All is well again. What was under way in a stall arrives late, or, when `lose` is true, never: the connections
   * turn out to be dead.
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
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#breakAll();
    await closed;
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
    let deliverAt = 0;
    from.on("data", (chunk: Buffer) => {
      const now = performance.now();
      deliverAt = Math.max(deliverAt, now + this.#delayMs);
      if (deliverAt - now < 1) send(chunk, from, to);
      else setTimeout(() => send(chunk, from, to), deliverAt - now);
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
