import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../../src/config/environment.ts";
import { REDIS_PROGRAMS } from "../../../src/local-redis/redis-child.ts";
import { sendCommand } from "../../../src/local-redis/redis-probe.ts";
import type { RedisAccess } from "../../../src/redis/connection/access.ts";
import { connect } from "../../../src/redis/connection/connect.ts";
import type { Argument, Connection } from "../../../src/redis/connection/connection.ts";
import { atExit } from "../at-exit.ts";
import { until } from "../until.ts";
import { freePort } from "../free-port.ts";

const STREAMS = "--maxmemory-policy noeviction --stream-node-max-bytes 512";

/** Options of a server that keeps its data, as `sgnet up` runs it. */
export const DURABLE: readonly string[] = `--appendonly yes --appendfsync everysec ${STREAMS}`.split(" ");

/** Options of a durable server that copies itself to its replicas at once. */
export const REPLICATED: readonly string[] = [...DURABLE, "--repl-diskless-sync-delay", "0"];

/** Options of a server that writes nothing to disk. */
export const EPHEMERAL: readonly string[] = `--appendonly no ${STREAMS}`.split(" ");

export interface RedisServerOptions {
  /** Created when absent. Its path must be short enough for a unix socket in it. */
  readonly dir: string;
  /** Path of a redis-server; the installed one when absent. */
  readonly program?: string;
  /** Options behind those of port and folder; they may begin with a file of settings. {@link DURABLE} when absent. */
  readonly args?: readonly string[];
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** `user:password` of {@link RedisServer.ask}; no login when absent. */
  readonly login?: string;
  /** Certificates of {@link RedisServer.ask}; with them the server speaks TLS only. */
  readonly access?: RedisAccess;
}

/** A Redis process of any kind and version on a free port of loopback. It keeps the port when it starts again. */
export class RedisServer {
  readonly port: number;
  /** Port of a cluster node for the other nodes. */
  readonly busPort: number;
  readonly #options: RedisServerOptions;
  #child: ChildProcess;
  #cancelExit: () => void;
  #connection: Connection | undefined;

  private constructor(
    options: RedisServerOptions,
    ports: { readonly port: number; readonly busPort: number },
  ) {
    this.#options = options;
    this.port = ports.port;
    this.busPort = ports.busPort;
    this.#child = this.#spawn();
    this.#cancelExit = atExit(() => this.#child.kill("SIGKILL"));
  }

  /** Resolves when it answers; rejects when it ends before. */
  static async start(options: RedisServerOptions): Promise<RedisServer> {
    mkdirSync(options.dir, { recursive: true });
    const ports = { port: await freePort(), busPort: isNode(options) ? await freePort() : 0 };
    const server = new RedisServer(options, ports);
    await server.#ready();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Address without a login. */
  get url(): string {
    return `${this.#isTls ? "rediss" : "redis"}://${this.address}`;
  }

  /** Address of its unix socket. */
  get socketUrl(): string {
    return `unix://${this.#socket}`;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The reply to a command of the test's own. */
  async ask(...args: Argument[]): Promise<unknown> {
    const { login = "", access = {} } = this.#options;
    const url = login === "" ? this.url : this.url.replace("://", `://${login}@`);
    this.#connection ??= await connect(url, "test", access);
    return this.#connection.command(...args);
  }

  /** The reply as text; "" for an error. */
  async text(...args: Argument[]): Promise<string> {
    return String(await this.ask(...args).catch(() => ""));
  }

  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** Ends it as a power cut of the process does: only what it wrote to disk is left. Idempotent. */
  async kill(): Promise<void> {
    this.#connection?.close();
    this.#connection = undefined;
    this.#cancelExit();
    if (!this.alive) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  /** Starts it after {@link kill}, with the same options. @param options.empty without the data that it had */
  async startAgain({ empty = false }: { readonly empty?: boolean } = {}): Promise<void> {
    if (empty) rmSync(join(this.#options.dir, "appendonlydir"), { recursive: true, force: true });
    this.#child = this.#spawn();
    this.#cancelExit = atExit(() => this.#child.kill("SIGKILL"));
    await this.#ready();
  }

  async stop(): Promise<void> {
    await this.kill();
  }

  get #isTls(): boolean {
    return this.#options.access?.tls !== undefined;
  }

  get #socket(): string {
    return join(this.#options.dir, "s.sock");
  }

  #spawn(): ChildProcess {
    const { dir, args = DURABLE, env = {}, program = findProgram(REDIS_PROGRAMS) } = this.#options;
    if (program === undefined) throw new Error("there is no redis-server on PATH");
    const port = String(this.port);
    const listen = this.#isTls ? ["--port", "0", "--tls-port", port] : ["--port", port];
    const bus = isNode(this.#options) ? ["--cluster-port", String(this.busPort)] : [];
    const place = ["--bind", "127.0.0.1", "--unixsocket", this.#socket, "--dir", dir];
    const quiet = ["--loglevel", "warning", "--daemonize", "no"];
    const own = [...listen, ...bus, ...place, ...quiet];
    const [first = ""] = args;
    // A file of settings comes first; without one there are no snapshots unless `args` ask for them.
    const line = first.startsWith("--") ? [...own, "--save", "", ...args] : [first, ...own, ...args.slice(1)];
    return spawn(program, line, {
      cwd: dir,
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** Waits for an answer through the unix socket. A refusal without a password is an answer, too. */
  async #ready(): Promise<void> {
    await until(`an answer of the Redis on port ${this.port}`, async () => {
      if (!this.alive) throw new Error(`redis-server ended with ${this.#child.exitCode}`);
      const answer = await sendCommand(this.#socket, "PING");
      return answer !== undefined && !answer.startsWith("-LOADING");
    });
  }
}

function isNode({ args = [] }: RedisServerOptions): boolean {
  return args.includes("--cluster-enabled");
}
