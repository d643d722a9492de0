import { connect } from "node:net";

const ANSWER_LIMIT_MS = 2000;
const SHUTDOWN_LIMIT_MS = 15_000;

/**
 * Sends one inline command over a unix socket.
 * @returns the first line of the answer; undefined when no server answers
 */
export function sendCommand(path: string, command: string): Promise<string | undefined> {
  return converse(path, { command, limitMs: ANSWER_LIMIT_MS, untilClosed: false });
}

/**
 * Shuts down the Redis on this unix socket and waits until it has ended.
 * @returns false when no server answers
 */
export async function shutDown(path: string): Promise<boolean> {
  if ((await sendCommand(path, "PING")) === undefined) return false;
  await converse(path, { command: "SHUTDOWN", limitMs: SHUTDOWN_LIMIT_MS, untilClosed: true });
  if ((await sendCommand(path, "PING")) !== undefined)
    throw new Error(`The Redis at ${path} does not shut down.`);
  return true;
}

interface Conversation {
  readonly command: string;
  readonly limitMs: number;
  /** True: wait until the connection closes, which the kernel does at the end of the process. */
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
