/**
 * Process: one half of the skeleton, the durable way of a request with nothing around it: a stream as queue, a consumer
 * group, a reply stream per task in msgpack, a channel per gateway. No checks, no dialects, no leases, no retries, no limits, no
 * log, no metrics: the least that this shape costs on this stack. Arguments: `gateway REDIS_PORT FOLDER`, which prints
 * `ready PORT`, or `worker REDIS_PORT BACKEND_PORT`, which prints `ready 0`. Ends when its standard input does.
 */
import { Packr } from "msgpackr"; // oxlint-disable-line no-restricted-imports -- the skeleton is these libraries, bare
import { createClient, RESP_TYPES } from "redis"; // oxlint-disable-line no-restricted-imports -- as above
import { Pool } from "undici"; // oxlint-disable-line no-restricted-imports -- as above
import type { Dispatcher } from "undici"; // oxlint-disable-line no-restricted-imports -- its types
import { loadUws } from "../src/gateway/http/uws.ts";
import { collectBody } from "./native-body.ts";
import type { Response } from "./native-body.ts";

type Argument = string | Buffer;

/** `[id, path, body]` */
type Task = readonly [string, string, Buffer];
/** `[id, content type of a first frame, bytes, last, length known]` */
type Frame = readonly [string, string | null, Buffer, boolean, boolean];

const QUEUE = "skeleton:q";
const CHANNEL = "skeleton:c";
const GROUP = "w";
/** As many tasks as a worker takes at once. */
const MOST_PER_TAKE = "64";
const REPLY_SECONDS = "60";

/** Tasks into the queue: their lengths, then all records in one. */
const ENQUEUE = `local at = 1
for i = 2, #ARGV do
  local n = tonumber(ARGV[i])
  redis.call('XADD', KEYS[1], '*', 't', string.sub(ARGV[1], at, at + n - 1))
  at = at + n
end`;

/** Frames into their reply streams, and to the gateway. */
const EMIT = `local at = 1
for i, key in ipairs(KEYS) do
  local n = tonumber(ARGV[i + 2])
  redis.call('XADD', key, '*', 'f', string.sub(ARGV[1], at, at + n - 1))
  at = at + n
end
redis.call('PUBLISH', ARGV[2], ARGV[1])`;

const packr = new Packr({ useRecords: false });
const [role = "", redisPort = "", third = ""] = process.argv.slice(2);

interface Client {
  sendCommand(args: Argument[]): Promise<unknown>;
}

async function connect(): Promise<ReturnType<typeof newClient>> {
  const client = newClient();
  await client.connect();
  return client;
}

function newClient() {
  return createClient({
    RESP: 2,
    url: `redis://127.0.0.1:${redisPort}`,
    commandOptions: { timeout: 0, typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  }).on("error", () => process.exit(1));
}

/** Items of one turn of the event loop are sent together. */
function perTurn<Item>(send: (items: readonly Item[]) => void): (item: Item) => void {
  let waiting: Item[] = [];
  return (item) => {
    waiting.push(item);
    if (waiting.length > 1) return;
    setImmediate(() => {
      const items = waiting;
      waiting = [];
      send(items);
    });
  };
}

function lengths(records: readonly Buffer[]): string[] {
  return records.map((record) => String(record.length));
}

async function gateway(): Promise<void> {
  const client: Client = await connect();
  const subscriber = await connect();
  const open = new Map<string, Response>();
  const enqueue = perTurn<Buffer>((records) => {
    const args = ["EVAL", ENQUEUE, "1", QUEUE, Buffer.concat(records), ...lengths(records)];
    void client.sendCommand(args);
  });
  const remove = perTurn<string>((ids) => void client.sendCommand(["UNLINK", ...ids]));
  await subscriber.subscribe(
    CHANNEL,
    (message) => {
      for (const frame of packr.unpackMultiple(message) as unknown as Frame[]) deliver(open, frame, remove);
    },
    true,
  );
  const uws = loadUws({ cacheDir: third });
  let count = 0;
  uws
    .App()
    .any("/*", (response, request) => {
      const id = `skeleton:r:${(count += 1)}`;
      const where = request.getUrl();
      open.set(id, response);
      response.onAborted(() => void open.delete(id));
      collectBody(response, (body) => enqueue(packr.pack([id, where, body] satisfies Task)));
    })
    .listen("127.0.0.1", 0, (socket) => {
      if (socket === false) throw new Error("the skeleton cannot listen");
      process.stdout.write(`ready ${uws.us_socket_local_port(socket)}\n`);
    });
}

function deliver(open: Map<string, Response>, frame: Frame, remove: (id: string) => void): void {
  const [id, contentType, bytes, last, sized] = frame;
  const response = open.get(id);
  if (last) {
    open.delete(id);
    remove(id);
  }
  response?.cork(() => {
    if (contentType !== null) response.writeStatus("200").writeHeader("Content-Type", contentType);
    if (last && sized) response.end(bytes);
    else {
      response.write(bytes);
      if (last) response.end();
    }
  });
}

/** Makes frames of what a backend answers: one of an answer of known length, one of each piece of a stream. */
class Relay implements Dispatcher.DispatchHandler {
  readonly #id: string;
  readonly #emit: (frame: Frame) => void;
  readonly #done: () => void;
  #contentType: string | null = null;
  #sized: Buffer[] | undefined;

  constructor(id: string, emit: (frame: Frame) => void, done: () => void) {
    this.#id = id;
    this.#emit = emit;
    this.#done = done;
  }

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, _status: number, headers: Record<string, unknown>): void {
    this.#contentType = String(headers["content-type"]);
    if (headers["content-length"] !== undefined) this.#sized = [];
  }

  onResponseData(_: Dispatcher.DispatchController, bytes: Buffer): void {
    if (this.#sized !== undefined) this.#sized.push(bytes);
    else {
      this.#emit([this.#id, this.#contentType, bytes, false, false]);
      this.#contentType = null;
    }
  }

  onResponseEnd(): void {
    const bytes = Buffer.concat(this.#sized ?? []);
    this.#emit([this.#id, this.#contentType, bytes, true, this.#sized !== undefined]);
    this.#done();
  }

  onResponseError(): void {
    this.#emit([this.#id, this.#contentType, Buffer.from("broken"), true, true]);
    this.#done();
  }
}

async function worker(): Promise<void> {
  const client: Client = await connect();
  const reader: Client = await connect();
  const pool = new Pool(`http://127.0.0.1:${third}`, { headersTimeout: 0, bodyTimeout: 0 });
  await client.sendCommand(["XGROUP", "CREATE", QUEUE, GROUP, "0", "MKSTREAM"]);
  const emit = perTurn<Frame>((frames) => {
    const records = frames.map((frame) => packr.pack(frame));
    const keys = frames.map(([id]) => id);
    const args = [Buffer.concat(records), CHANNEL, ...lengths(records)];
    void client.sendCommand(["EVAL", EMIT, String(keys.length), ...keys, ...args]);
    for (const [id, , , last] of frames) if (last) expire(id);
  });
  const expire = (id: string): void => void client.sendCommand(["EXPIRE", id, REPLY_SECONDS]);
  const acknowledge = perTurn<string>((entries) => {
    void client.sendCommand(["XACK", QUEUE, GROUP, ...entries]);
    void client.sendCommand(["XDEL", QUEUE, ...entries]);
  });
  process.stdout.write("ready 0\n");
  for (;;) {
    const args = ["XREADGROUP", "GROUP", GROUP, "c", "COUNT", MOST_PER_TAKE, "BLOCK", "1000"];
    const reply = (await reader.sendCommand([...args, "STREAMS", QUEUE, ">"])) as
      | readonly [readonly [Buffer, readonly (readonly [Buffer, readonly Buffer[]])[]]]
      | null;
    for (const [entry, [, record]] of reply?.[0][1] ?? []) {
      const [id, where, body] = packr.unpack(record ?? Buffer.alloc(0)) as Task;
      const headers = { "content-type": "application/json" };
      const done = (): void => acknowledge(entry.toString());
      pool.dispatch({ method: "POST", path: where, headers, body }, new Relay(id, emit, done));
    }
  }
}

process.stdin.resume().on("end", () => process.exit(0));
await (role === "gateway" ? gateway() : worker());
