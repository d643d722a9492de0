import { existsSync } from "node:fs";
import { readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { meddle } from "./tools.ts";
import type { WallClock } from "./wall-clock.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";

/** Size of the append-only file at one moment. */
export interface Written {
  readonly file: string;
  readonly bytes: number;
}

/** One Redis with the machine it is on, whose power, disk, memory and clock can fail. */
export class RedisHost {
  readonly clock: WallClock | undefined;
  readonly #server: RedisServer;
  readonly #dir: string;
  readonly #probe: Connection;

  private constructor(options: {
    dir: string;
    server: RedisServer;
    probe: Connection;
    clock: WallClock | undefined;
  }) {
    this.#dir = options.dir;
    this.#server = options.server;
    this.#probe = options.probe;
    this.clock = options.clock;
  }

  /** @param clock absent where clocks cannot be set */
  static async start(dir: string, clock?: WallClock): Promise<RedisHost> {
    const server = await RedisServer.start({ dir, env: clock?.env ?? {} });
    return new RedisHost({ dir, server, probe: await connect(server.url, "chaos-host"), clock });
  }

  get url(): string {
    return this.#server.url;
  }

  get port(): number {
    return this.#server.port;
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#server.signal(signal);
  }

  async kill(): Promise<void> {
    await this.#server.kill();
  }

  /** After a kill. */
  async startAgain(options: { readonly empty: boolean }): Promise<void> {
    await this.#server.startAgain(options);
  }

  async stop(): Promise<void> {
    this.#probe.close();
    await this.#server.stop();
  }

  async set(name: string, value: string): Promise<void> {
    await this.#probe.command("CONFIG", "SET", name, value);
  }

  /** Bytes that Redis has handed to the kernel by now. They are synced one or two seconds later. */
  async written(): Promise<Written> {
    const dir = join(this.#dir, "appendonlydir");
    const files = (await readdir(dir)).filter((name) => name.endsWith(".incr.aof")).toSorted(byNumber);
    const file = join(dir, files.at(-1) ?? "");
    return { file, bytes: (await stat(file)).size };
  }

  /**
   * Removes what a dead server wrote after `written`, as a power cut does. The first `extraBytes` of it stay and may
   * end in the middle of a command. Returns the number of bytes lost: 0 for a file that was rewritten meanwhile, as the
   * new file is synced.
   */
  async lose({ file, bytes }: Written, extraBytes: number): Promise<number> {
    if (!existsSync(file)) return 0;
    const { size } = await stat(file);
    const kept = Math.min(size, bytes + extraBytes);
    await truncate(file, kept);
    return size - kept;
  }

  /** Each sync of the append-only file takes so long. Resolves with what ends it. */
  async slowSyncs(ms: number): Promise<() => Promise<void>> {
    return this.#meddle("fdatasync", `delay_enter=${ms * 1000}`);
  }

  /** The append-only file cannot grow. Resolves with what ends it. */
  async fillDisk(): Promise<() => Promise<void>> {
    return this.#meddle("write", "error=ENOSPC");
  }

  async #meddle(call: string, how: string): Promise<() => Promise<void>> {
    const { file } = await this.written();
    return meddle(this.#server.pid, ["-P", file, "-e", `trace=${call}`, "-e", `inject=${call}:${how}`]);
  }
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
