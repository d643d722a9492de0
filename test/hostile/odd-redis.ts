import { connect, type Socket } from "node:net";
import * as fc from "fast-check";
import type { FleetRedis } from "../rig/redis/fleet-redis.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { LocalTcp } from "../rig/local-tcp.ts";

const CR = 0x0d;
const NONE = -1;

/** Where a reply of RESP 2 that begins at `at` ends; -1 when it is not whole. */
function endOfReply(bytes: Buffer, at: number): number {
  const line = bytes.indexOf("\r\n", at);
  if (line < 0) return NONE;
  const end = line + 2;
  const kind = String.fromCharCode(bytes[at] ?? CR);
  const count = Number(bytes.toString("latin1", at + 1, line));
  if (kind === "$") return count < 0 ? end : withinOf(bytes, end + count + 2);
  if (kind !== "*") return end;
  let next = end;
  for (let index = 0; index < count && next !== NONE; index += 1) next = endOfReply(bytes, next);
  return next;
}

function withinOf(bytes: Buffer, end: number): number {
  return end > bytes.length ? NONE : end;
}

/** A reply in the place of the true one, after so many that pass as they are. */
export interface Oddity {
  readonly after: number;
  readonly reply: string;
}

const SIMPLE = [
  "+OK",
  "+",
  "+\xff\xfe",
  ":0",
  ":-1",
  ":1",
  ":9007199254740993",
  "$-1",
  "*-1",
  "*0",
  "$0\r\n",
  "$2\r\n{}",
  "$4\r\nnull",
  "$9\r\n__proto__",
  // Types that only RESP 3 has.
  "_",
  "#t",
  ",1.5",
  ",nan",
  "(3492890328409238509324850943850943825024385",
];
const ERRORS = [
  "ERR odd",
  "",
  "WRONGTYPE odd",
  "LOADING odd",
  "READONLY odd",
  "OOM odd",
  "BUSY odd",
  "NOSCRIPT odd",
];
const leaf = fc.oneof(
  fc.constantFrom(...SIMPLE),
  fc.constantFrom(...ERRORS).map((text) => `-${text}`),
);
const listed = (of: fc.Arbitrary<string>): fc.Arbitrary<string> => {
  return fc.array(of, { maxLength: 4 }).map((items) => [`*${items.length}`, ...items].join("\r\n"));
};
const reply = fc.oneof(leaf, listed(leaf), listed(listed(leaf)), listed(listed(listed(leaf))));

/** Oddities one after the other. */
export const oddities: fc.Arbitrary<readonly Oddity[]> = fc.array(
  fc.record({ after: fc.nat({ max: 12 }), reply }),
  {
    minLength: 5,
    maxLength: 40,
  },
);

/** A Redis that answers what the fleet asks as it should, or, as long as there are oddities, otherwise. */
export class OddRedis implements FleetRedis {
  /** For the test itself, which is always answered as it should be. */
  readonly url: string;
  readonly #redis: RedisServer;
  readonly #server: LocalTcp;
  #oddities: Oddity[] = [];
  #passed = 0;

  private constructor(redis: RedisServer) {
    this.#redis = redis;
    this.url = redis.url;
    this.#server = new LocalTcp((socket) => this.#serve(socket));
  }

  static async start(dir: string): Promise<OddRedis> {
    const odd = new OddRedis(await RedisServer.start({ dir }));
    await odd.#server.listen();
    return odd;
  }

  readonly settingsOf = (): Readonly<Record<string, string>> => {
    return { REDIS_URL: `redis://127.0.0.1:${this.#server.port}` };
  };

  /** The number of odd replies still to come. */
  get left(): number {
    return this.#oddities.length;
  }

  beOdd(list: readonly Oddity[]): void {
    this.#oddities = [...list];
    this.#passed = 0;
  }

  kill(): Promise<void> {
    return this.#redis.kill();
  }

  startAgain(options: { readonly empty: boolean }): Promise<void> {
    return this.#redis.startAgain(options);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    await this.#redis.stop();
  }

  #serve(client: Socket): void {
    const server = connect({ port: this.#redis.port, host: "127.0.0.1", noDelay: true });
    this.#server.watch(server);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
    client.pipe(server);
    let rest: Buffer = Buffer.alloc(0);
    server.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = endOfReply(rest, 0); end !== NONE && rest.length > 0; end = endOfReply(rest, 0)) {
        client.write(this.#judge(rest.subarray(0, end)));
        rest = rest.subarray(end);
      }
    });
  }

  #judge(true_: Buffer): Buffer {
    const [next] = this.#oddities;
    if (next === undefined) return true_;
    this.#passed += 1;
    if (this.#passed <= next.after) return true_;
    this.#passed = 0;
    this.#oddities.shift();
    return Buffer.from(`${next.reply}\r\n`, "latin1");
  }
}
