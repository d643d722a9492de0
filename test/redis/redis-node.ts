import { type ChildProcess, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { REDIS_PROGRAMS } from "../../src/admin/redis-child.ts";
import { findProgram } from "../../src/config/environment.ts";
import type { RedisAccess } from "../../src/redis/access.ts";
import { connect } from "../../src/redis/connect.ts";
import type { Argument, Connection } from "../../src/redis/connection.ts";
import { atExit } from "../journey/last-rites.ts";
import { until } from "../journey/until.ts";
import { steadyPort } from "./steady-port.ts";

interface Place {
  readonly port: number;
  readonly busPort: number;
  readonly dir: string;
  readonly args: readonly string[];
  readonly way: Way;
}

/** How the test comes in. */
export interface Way {
  /** `user:password`, or "" for nobody's. */
  readonly login: string;
  /** With certificates: then it speaks TLS only. */
  readonly access: RedisAccess;
}

const OPEN: Way = { login: "", access: {} };

/** Options of a server that keeps what it has, and is copied soon. */
export const DURABLE: readonly string[] = (
  "--appendonly yes --appendfsync everysec --maxmemory-policy noeviction --stream-node-max-bytes 512 " +
  "--repl-diskless-sync-delay 0 --loglevel warning"
).split(" ");

/** One server of several: a Redis with an append-only file, a node of a cluster, or a sentinel. */
export class RedisNode {
  readonly port: number;
  /** Of a node of a cluster, for the other nodes. */
  readonly busPort: number;
  readonly #args: readonly string[];
  readonly #way: Way;
  readonly #dir: string;
  #child: ChildProcess;
  #exited: Promise<unknown>;
  #connection: Connection | undefined;

  private constructor(options: Place) {
    this.port = options.port;
    this.busPort = options.busPort;
    this.#dir = options.dir;
    this.#args = options.args;
    this.#way = options.way;
    this.#child = this.#spawn();
    this.#exited = endOf(this.#child);
  }

  /** @param args for redis-server, after its port and folder; a sentinel begins with its file. @param way as they say */
  static async start(dir: string, args: readonly string[], way: Way = OPEN): Promise<RedisNode> {
    await mkdir(dir, { recursive: true });
    const [port, busPort] = [await steadyPort(), await steadyPort()];
    const node = new RedisNode({ port, busPort, dir, args, way });
    await node.#answers();
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async ask(...args: Argument[]): Promise<unknown> {
    const { login, access } = this.#way;
    const scheme = access.tls === undefined ? "redis" : "rediss";
    const url = `${scheme}://${login === "" ? "" : `${login}@`}${this.address}`;
    this.#connection ??= await connect(url, "test", access);
    return this.#connection.command(...args);
  }

  /** The reply as text; "" when there is none. */
  async tell(...args: Argument[]): Promise<string> {
    return String(await this.ask(...args).catch(() => ""));
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  /** After a kill: with the data and the place it had. */
  async startAgain(): Promise<void> {
    this.#child = this.#spawn();
    this.#exited = endOf(this.#child);
    await this.#answers();
  }

  #spawn(): ChildProcess {
    const program = findProgram(REDIS_PROGRAMS);
    if (program === undefined) throw new Error("there is no redis-server on PATH");
    const bus = this.#args.includes("--cluster-enabled") ? ["--cluster-port", String(this.busPort)] : [];
    const plain = ["--port", String(this.port)];
    const port =
      this.#way.access.tls === undefined ? plain : ["--port", "0", "--tls-port", String(this.port)];
    const own = [...port, "--bind", "127.0.0.1", "--dir", this.#dir];
    return spawn(program, [...this.#args, ...own, ...bus], { cwd: this.#dir, stdio: "ignore" });
  }

  async #answers(): Promise<void> {
    await until(`a redis on port ${this.port}`, async () => {
      if (!this.alive) throw new Error(`the redis on port ${this.port} ended`);
      return (await this.tell("PING")) === "PONG";
    });
  }
}

function endOf(child: ChildProcess): Promise<unknown> {
  const spare = atExit(() => child.kill("SIGKILL"));
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      spare();
      resolve(code ?? signal);
    });
  });
}
