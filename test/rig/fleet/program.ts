import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { processFlags, flaggedEnvironment } from "../../../src/commands/process-flags.ts";
import { atExit } from "../at-exit.ts";
import { until } from "../until.ts";

/** The product's command line, run as a user would. */
const CLI = join(import.meta.dirname, "../../../src/cli.ts");

/** Longer than a start takes on a loaded machine, ms. */
const START_LIMIT_MS = 60_000;

export interface ProgramOptions {
  readonly command: "gateway" | "worker";
  readonly env: Readonly<Record<string, string>>;
  /** A folder without a `.env` file. */
  readonly cwd: string;
}

/** A gateway or worker process that is ready. */
export class Program {
  readonly command: "gateway" | "worker";
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  /** All lines that it wrote, logs included. */
  readonly lines: string[] = [];
  #how: number | string | undefined;
  readonly #child: ChildProcess;

  private constructor({ command, env, cwd }: ProgramOptions) {
    this.command = command;
    const ours = {
      ...flaggedEnvironment({ cacheDir: "" }),
      SGNET_LOG_FORMAT: "json",
      SGNET_LOG_LEVEL: "debug",
      ...env,
    };
    this.#child = spawn(process.execPath, [...processFlags(), CLI, command], {
      cwd,
      env: { ...outerEnvironment(), ...ours },
      // The channel is not used: its end tells the process that this one is gone.
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const spare = atExit(() => this.#child.kill("SIGKILL"));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface(stream).on("line", (line) => this.lines.push(line));
    }
    this.exited = new Promise((resolve) => {
      const over = (how: number | string): void => {
        spare();
        this.#how = how;
        resolve(how);
      };
      this.#child.once("error", (error) => over(error.message));
      this.#child.once("exit", (code, signal) => over(code ?? signal ?? "unknown"));
    });
  }

  /** Resolves when the process says that it is ready; rejects with what it wrote when it ends before. */
  static async start(options: ProgramOptions): Promise<Program> {
    const program = new Program(options);
    try {
      await until(`a ${options.command} that is ready`, () => program.#isReady(), START_LIMIT_MS);
    } catch (error) {
      await program.kill();
      throw new Error(`${String(error)}\n${program.story}`, { cause: error });
    }
    return program;
  }

  get alive(): boolean {
    return this.#how === undefined;
  }

  /** Address of a gateway. */
  get url(): string {
    const port = /"gateway is ready".*"port":(\d+)/.exec(this.story)?.[1];
    if (port === undefined) throw new Error("this is no gateway, or it is not ready");
    return `http://127.0.0.1:${port}`;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** All it wrote. */
  get story(): string {
    return this.lines.join("\n");
  }

  signal(signal: "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    this.#child.kill(signal);
  }

  /** Ends it without a word, frozen or not. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
  }

  #isReady(): boolean {
    if (!this.alive) throw new Error(`the ${this.command} ended (${this.#how})`);
    return this.story.includes(`"${this.command} is ready"`);
  }
}

/** This process's environment without anything that is a setting. */
function outerEnvironment(): Record<string, string | undefined> {
  const entries = Object.entries(process.env);
  return Object.fromEntries(
    entries.filter(([name]) => !/^(SGNET_|OTEL_|PORT$|HOST$|REDIS_URL$|NODE_)/.test(name)),
  );
}
