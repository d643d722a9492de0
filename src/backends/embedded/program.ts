import { spawn } from "node:child_process";
import { type Environment, processEnvironment } from "../../config/environment.ts";

/** Most characters of error output that are kept. */
const MAX_ERRORS = 4000;

/** A program could not start, or ended with a code other than 0. */
export class ProgramError extends Error {
  /** The end of its standard error; empty when it did not start. */
  readonly output: string;

  constructor(message: string, output: string) {
    super(message);
    this.name = "ProgramError";
    this.output = output;
  }
}

/** Working folder and environment of a program; absent: as in this process. */
export interface ProgramOptions {
  readonly folder?: string;
  readonly env?: Environment;
}

/** Runs a program to its end, without a shell. Rejects with a ProgramError. */
export function runProgram(
  command: string,
  args: readonly string[],
  { folder, env = processEnvironment() }: ProgramOptions = {},
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
