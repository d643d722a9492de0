import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isObject } from "../../src/core/json.ts";

/** The product's command line, run as a user would. */
const CLI = join(import.meta.dirname, "../../src/cli.ts");

/** Children of this test process that still run: none may outlive it, however it ends. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

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
  /** What it logged, and whatever else it wrote. */
  readonly lines: string[] = [];
  /** Of a gateway. */
  port = 0;
  #alive = true;
  readonly #child: ChildProcess;

  private constructor({ command, env, cwd }: ProgramOptions) {
    this.command = command;
    const ours = { SGNET_LOG_FORMAT: "json", SGNET_LOG_LEVEL: "debug", ...env };
    this.#child = spawn(process.execPath, [CLI, command], {
      cwd,
      env: { ...outerEnvironment(), ...ours },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    running.add(this.#child);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface(stream).on("line", (line) => this.lines.push(line));
    }
    this.exited = new Promise((resolve) => {
      this.#child.once("exit", (code, signal) => {
        this.#alive = false;
        running.delete(this.#child);
        resolve(code ?? signal ?? "unknown");
      });
    });
  }

  /** Resolves when the process says that it is ready; rejects with what it wrote when it ends before. */
  static async start(options: ProgramOptions): Promise<Program> {
    const program = new Program(options);
    const ready = new Promise<void>((resolve, reject) => {
      program.#child.once("exit", (code, signal) => {
        const how = code ?? signal ?? "";
        reject(new Error(`the ${options.command} ended (${how}) before it was ready:\n${program.story}`));
      });
      program.#child.once("message", (message) => {
        if (isObject(message) && typeof message["port"] === "number") program.port = message["port"];
        if (isObject(message) && message["problem"] === undefined) resolve();
      });
    });
    await ready;
    return program;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
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
}

/** This process's environment without anything that is a setting. */
function outerEnvironment(): Record<string, string | undefined> {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !/^(SGNET_|PORT$|HOST$|REDIS_URL$|NODE_)/.test(name)));
}
