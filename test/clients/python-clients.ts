import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after } from "node:test";
import { atExit } from "../rig/at-exit.ts";
import { type Python, pythonWith } from "../rig/python.ts";

/** One question through a client library for Python. */
export interface PythonCall {
  readonly client: string;
  readonly url: string;
  readonly stream: boolean;
  readonly tokens: number;
  readonly model: string;
  readonly prompt: string;
  /** The client leaves when it has heard this. */
  readonly leave?: string;
}

/** The outcome of a call. */
export interface PythonOutcome {
  readonly text: string;
  readonly error: string | null;
  /** HTTP status of the error, where it has one. */
  readonly status: number | null;
}

/** The versions that were read and run for this: the newest of their kind in November 2026. */
export const PYTHON_LIBRARIES = ["ollama==0.6.2", "openai==3.3.0", "anthropic==2.12.0"] as const;

/** The clients of clients.py. */
export const PYTHON_NAMES: readonly string[] = [
  "ollama chat",
  "ollama generate",
  "openai chat",
  "openai completions",
  "openai responses",
  "anthropic messages",
  "anthropic messages, stream helper",
];

/** A Python process that asks one question after the other, or several at once. */
export class PythonClients {
  /** The names of its clients. */
  readonly names: readonly string[];
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #spare: () => void;

  private constructor(options: {
    names: readonly string[];
    child: ChildProcess;
    lines: AsyncIterator<string>;
    spare: () => void;
  }) {
    this.names = options.names;
    this.#child = options.child;
    this.#lines = options.lines;
    this.#spare = options.spare;
  }

  static async start({ command, packages }: Python): Promise<PythonClients> {
    const child = spawn(command, [join(import.meta.dirname, "clients.py")], {
      env: { ...process.env, PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const spare = atExit(() => child.kill("SIGKILL"));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const names = JSON.parse(await next(lines)) as string[];
    return new PythonClients({ names, child, lines, spare });
  }

  async ask(call: PythonCall): Promise<PythonOutcome> {
    return (await this.#tell(call)) as PythonOutcome;
  }

  /** Asks all at once; resolves when all have ended, in the order of the calls. */
  async askAll(calls: readonly PythonCall[]): Promise<readonly PythonOutcome[]> {
    return (await this.#tell(calls)) as readonly PythonOutcome[];
  }

  async #tell(what: object): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(what)}\n`);
    return JSON.parse(await next(this.#lines));
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.stdin?.end();
    await exited;
    this.#spare();
  }
}

let shared: Promise<PythonClients | string> | undefined;

/**
 * The Python process of this test file, which ends with it: to start one takes three seconds of processor time. Gives
 * the reason as text where there are no libraries.
 */
export async function sharedPythonClients(): Promise<PythonClients | string> {
  return (shared ??= startShared());
}

async function startShared(): Promise<PythonClients | string> {
  const python = await pythonWith(...PYTHON_LIBRARIES);
  return typeof python === "string" ? python : PythonClients.start(python);
}

after(async () => {
  const clients = await shared;
  if (clients instanceof PythonClients) await clients.stop();
});

async function next(lines: AsyncIterator<string>): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error("the Python process ended");
  return value;
}
