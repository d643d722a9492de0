import { spawn } from "node:child_process";
import { type Environment, processEnvironment } from "../../config/environment.ts";

/** Longest piece of a program's error output that is kept, in characters. */
const MAX_ERRORS = 4000;

/** A program that could not be started, or that ended with another code than 0. */
export class ProgramError extends Error {
  /** The end of what it wrote to standard error; empty where it was not started. */
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.name = "ProgramError";
    this.output = output;
  }
}

/** Where a program runs; ours when absent. */
export interface Surroundings {
  readonly folder?: string;
  readonly env?: Environment;
}

/** Runs a program to its end, without a shell. Rejects with a ProgramError. */
export function runProgram(
  command: string,
  args: readonly string[],
  { folder, env = processEnvironment() }: Surroundings = {},
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"], cwd: folder, env });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-MAX_ERRORS);
  });
  child.on("error", ({ message }) => reject(new ProgramError(message, "")));
  child.on("close", (code) => {
    if (code === 0) resolve();
    else reject(new ProgramError(`${command} ended with code ${code}`, errors));
  });
  return promise;
}
