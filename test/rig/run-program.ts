import { spawn } from "node:child_process";

/** Runs a program to its end. Returns the lines of its standard error when it fails; undefined when it succeeds. */
export async function failureOf(
  command: string,
  args: readonly string[],
): Promise<readonly string[] | undefined> {
  const { promise, resolve } = Promise.withResolvers<readonly string[] | undefined>();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  child.on("error", (error) => resolve([error.message]));
  child.on("close", (code) => {
    const lines = errors.trim().split("\n");
    resolve(code === 0 ? undefined : errors.trim() === "" ? [`code ${code}`] : lines);
  });
  return promise;
}
