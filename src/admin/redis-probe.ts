import { connect } from "node:net";

const ANSWER_LIMIT_MS = 2000;
const SHUTDOWN_LIMIT_MS = 15_000;

/**
 * Sends one inline command over a unix socket.
 * @returns the first line of the answer; undefined when nobody answers
 */
export function ask(path: string, command: string): Promise<string | undefined> {
  return converse(path, { command, limitMs: ANSWER_LIMIT_MS, untilClosed: false });
}

/**
 * Shuts down the Redis that listens on this unix socket and waits until it is gone.
 * @returns false when there is none
 */
export async function shutDown(path: string): Promise<boolean> {
  if ((await ask(path, "PING")) === undefined) return false;
  await converse(path, { command: "SHUTDOWN", limitMs: SHUTDOWN_LIMIT_MS, untilClosed: true });
  if ((await ask(path, "PING")) !== undefined) throw new Error(`The Redis at ${path} does not shut down.`);
  return true;
}

interface Conversation {
  readonly command: string;
  readonly limitMs: number;
  /** True: wait for the server to close the connection, which the kernel does when the process has ended. */
  readonly untilClosed: boolean;
}

function converse(
  path: string,
  { command, limitMs, untilClosed }: Conversation,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(path, () => socket.write(`${command}\r\n`));
    const limit = setTimeout(() => socket.destroy(), limitMs);
    socket.on("data", (chunk) => {
      answer += chunk.toString();
      if (!untilClosed && answer.includes("\r\n")) socket.destroy();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      clearTimeout(limit);
      resolve(answer === "" ? undefined : answer.split("\r\n")[0]);
    });
  });
}
