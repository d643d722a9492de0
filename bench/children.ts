/** Child processes of a bench run: started, awaited and always stopped, each by its own process id. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

const STOP_MS = 3000;
/** The slowest peer needs half of it. */
const READY_MS = 60_000;
const TAIL_CHARS = 2000;

/** Options of a child process. */
export interface ChildOptions {
  /** Names the child in reports and errors, e.g. `gateway`. */
  readonly role: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A running child. */
export class Child {
  readonly role: string;
  readonly #process: ChildProcess;
  #output = "";
  #complaints = "";

  constructor(options: ChildOptions) {
    this.role = options.role;
    this.#process = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
    this.#process.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints = (this.#complaints + text).slice(-TAIL_CHARS);
    });
    this.#process.on("error", (error) => {
      this.#complaints += error.message;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** It never started, or has ended. */
  get ended(): boolean {
    return this.pid === 0 || this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Waits for its end and returns what it printed. Throws when it failed. */
  async output(): Promise<string> {
    if (this.pid !== 0) await once(this.#process, "close");
    if (this.#process.exitCode !== 0) throw this.failure("failed");
    return this.#output;
  }

  /** Waits until it printed `ready PORT`; returns the port. Throws when it ends or takes too long. */
  async readyPort(): Promise<number> {
    return await this.until(() => {
      const port = /^ready (\d+)$/m.exec(this.#output)?.[1];
      return port === undefined ? undefined : Number(port);
    });
  }

  /** Asks `probe` until it has a value. Throws when the child ends or takes too long. */
  async until<T>(probe: () => Promise<T | undefined> | T | undefined): Promise<T> {
    const deadline = performance.now() + READY_MS;
    for (;;) {
      if (this.ended) throw this.failure("ended before it was ready");
      const value = await probe();
      if (value !== undefined) return value;
      if (performance.now() > deadline) throw this.failure("was not ready in time");
      await new Promise((resolve) => {
        setTimeout(resolve, 25); // between two polls of a process that cannot report by itself
      });
    }
  }

  /** Sends it a signal, e.g. to freeze it. */
  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** Ends it: politely, and after a while by force. */
  async stop(): Promise<void> {
    if (this.ended) return;
    const closed = once(this.#process, "close");
    this.#process.kill("SIGCONT"); // a frozen one would not hear the rest
    this.#process.kill("SIGTERM");
    const force = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MS);
    await closed;
    clearTimeout(force);
  }

  /** An error that names the child and carries the end of what it complained about. */
  failure(what: string): Error {
    const tail = this.#complaints.trim() || this.#output.trim().slice(-TAIL_CHARS);
    return new Error(`${this.role} ${what}${tail === "" ? "" : `: ${tail}`}`);
  }
}

/** All children of a run. */
export class Children {
  readonly #live = new Set<Child>();
  #over = false;

  /** Starts a child that `stopAll` will end. Throws after `stopAll`. */
  start(options: ChildOptions): Child {
    if (this.#over) throw new Error(`${options.role} is not started: the run is over`);
    const child = new Child(options);
    this.#live.add(child);
    return child;
  }

  /** Forgets a child that has ended by itself. */
  forget(child: Child): void {
    this.#live.delete(child);
  }

  /** Ends all that still run, last started first, and starts no more. */
  async stopAll(): Promise<void> {
    this.#over = true;
    for (const child of [...this.#live].toReversed()) await child.stop();
    this.#live.clear();
  }
}
