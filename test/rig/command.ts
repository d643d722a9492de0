import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processEnvironment } from "../../src/config/environment.ts";

/** The command line as a person uses it: its own process in a folder of its own. */

const CLI = join(import.meta.dirname, "../../src/cli.ts");

export interface Command {
  readonly child: ChildProcess;
  /** Its output so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves with the exit code once it has ended and its output is complete. */
  readonly ended: Promise<number | null>;
  /** Resolves with what the group of `pattern` matched in standard output or error; rejects if it ends before. */
  see(pattern: RegExp): Promise<string>;
}

export interface CommandOptions {
  readonly cwd: string;
  /** The program to run; the sources, by this Node, when absent. */
  readonly program?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts `sgnet <args>` without the settings of this environment. */
export function startCommand(args: readonly string[], options: CommandOptions): Command {
  const { cwd, env = {}, program } = options;
  const { PATH, HOME, NODE_COMPILE_CACHE } = processEnvironment();
  const line = program === undefined ? [process.execPath, CLI] : [program];
  const [command = "", ...before] = line;
  const child = spawn(command, [...before, ...args], {
    cwd,
    env: { PATH, HOME, NODE_COMPILE_CACHE, SGNET_EMBEDDED_MODEL: "off", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const see = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(out + err);
        if (match !== null) resolve(match[1] ?? match[0]);
      };
      child.stdout.on("data", look);
      child.stderr.on("data", look);
      void ended.then(() => reject(new Error(`ended without ${pattern}: ${out}${err}`)));
      look();
    });
  return { child, stdout: () => out, stderr: () => err, ended, see };
}

/** Runs `sgnet <args>` to its end. */
export async function runCommand(
  args: readonly string[],
  options: CommandOptions,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const command = startCommand(args, options);
  const code = await command.ended;
  return { code, stdout: command.stdout(), stderr: command.stderr() };
}

/** True while a process of this id runs; one that has ended and is not yet reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** A new folder, and how to remove it. */
export function newFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "sgnet-command-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
