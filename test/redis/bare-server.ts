import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { REDIS_PROGRAMS } from "../../src/admin/redis-child.ts";
import { ask } from "../../src/admin/redis-probe.ts";
import { findProgram } from "../../src/config/environment.ts";
import { atExit } from "../journey/last-rites.ts";
import { steadyPort } from "./steady-port.ts";

const READY_LIMIT_MS = 60_000;
const POLL_MS = 15;

export interface BareServerOptions {
  /** Created when absent; short enough for a unix socket in it. */
  readonly dir: string;
  /** The installed one when absent. */
  readonly program?: string;
  /** Beside the port (of plain TCP) and a unix socket, through which the test asks whether it is ready. */
  readonly args?: readonly string[];
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A Redis of any version and with any options, on a free port of loopback. */
export class BareServer {
  readonly port: number;
  readonly #options: BareServerOptions;
  #child: ChildProcess;
  #spare: () => void;

  private constructor(options: BareServerOptions, port: number) {
    this.#options = options;
    this.port = port;
    this.#child = this.#spawn();
    this.#spare = atExit(() => this.#child.kill("SIGKILL"));
  }

  static async start(options: BareServerOptions): Promise<BareServer> {
    mkdirSync(options.dir, { recursive: true });
    const server = new BareServer(options, await steadyPort());
    await server.#ready();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }

  /** After {@link kill}, with the same options. */
  async startAgain(options: { readonly empty?: boolean } = {}): Promise<void> {
    if (options.empty === true)
      rmSync(join(this.#options.dir, "appendonlydir"), { recursive: true, force: true });
    this.#spare();
    this.#child = this.#spawn();
    this.#spare = atExit(() => this.#child.kill("SIGKILL"));
    await this.#ready();
  }

  async stop(): Promise<void> {
    await this.kill();
    this.#spare();
  }

  get #socket(): string {
    return join(this.#options.dir, "s.sock");
  }

  #spawn(): ChildProcess {
    const { dir, args = [], env = {}, program = findProgram(REDIS_PROGRAMS) } = this.#options;
    if (program === undefined) throw new Error("there is no redis-server on PATH");
    const own = ["--port", String(this.port), "--bind", "127.0.0.1", "--unixsocket", this.#socket];
    const quiet = ["--dir", dir, "--save", "", "--loglevel", "warning", "--daemonize", "no"];
    return spawn(program, [...own, ...quiet, ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** An answer that it wants a password is one, too. */
  async #ready(): Promise<void> {
    const giveUp = performance.now() + READY_LIMIT_MS;
    for (;;) {
      const answer = await ask(this.#socket, "PING");
      if (answer !== undefined && !answer.startsWith("-LOADING")) return;
      if (this.#child.exitCode !== null) throw new Error(`redis-server ended with ${this.#child.exitCode}`);
      if (performance.now() > giveUp) throw new Error("redis-server does not answer");
      await delay(POLL_MS);
    }
  }
}
