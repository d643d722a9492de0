import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type RedisChild, startRedis } from "../../src/admin/redis-child.ts";
import { steadyPort } from "../redis/steady-port.ts";
import { atExit } from "./last-rites.ts";

/** A Redis of one test, on a port it keeps: it can be killed and started again, with or without its data. */
export class RedisServer {
  readonly url: string;
  readonly #dir: string;
  readonly #port: number;
  readonly #spare: () => void;
  #child: RedisChild;

  private constructor(dir: string, child: RedisChild) {
    this.#dir = dir;
    this.#child = child;
    this.url = child.url;
    this.#port = Number(new URL(child.url).port);
    this.#spare = atExit(() => this.#endWithThisProcess());
  }

  static async start(dir: string): Promise<RedisServer> {
    return new RedisServer(dir, await startRedis({ dir, port: await steadyPort() }));
  }

  get port(): number {
    return this.#port;
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    process.kill(this.#child.pid, signal);
  }

  /** Ends it as a power cut of the process would; what it wrote is in its append-only file. */
  async kill(): Promise<void> {
    process.kill(this.#child.pid, "SIGKILL");
    await this.#child.exited;
  }

  /** After a kill. */
  async startAgain(options: { readonly empty: boolean }): Promise<void> {
    if (options.empty) await rm(join(this.#dir, "appendonlydir"), { recursive: true, force: true });
    this.#child = await startRedis({ dir: this.#dir, port: this.#port });
  }

  async stop(): Promise<void> {
    await this.#child.stop();
    this.#spare();
  }

  /** A frozen process takes no SIGTERM. */
  #endWithThisProcess(): void {
    try {
      this.signal("SIGCONT");
      this.#child.kill();
    } catch {
      // It is gone already.
    }
  }
}
