/** One command to a local Redis, without a client library: an independent view from outside. */
import { once } from "node:events";
import net from "node:net";

const BULK = /^\$(-?\d+)\r\n/;

/**
 * Sends one command and returns its reply: an integer, a status or a bulk string, as text. Throws on an error reply,
 * on other types of reply, and when Redis cannot be reached.
 */
export async function askRedis(port: number, ...words: readonly string[]): Promise<string> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  let held = "";
  try {
    await once(socket, "connect");
    socket.setEncoding("utf8").write(command(words));
    for await (const piece of socket) {
      held += String(piece);
      const reply = complete(held);
      if (reply !== undefined) return reply;
    }
    throw new Error(`Redis closed the connection after ${words[0] ?? ""}`);
  } finally {
    socket.destroy();
  }
}

/** Bytes of memory that Redis uses for its data and clients. */
export async function redisMemory(port: number): Promise<number> {
  const info = await askRedis(port, "INFO", "memory");
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}

function command(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** The reply at the front of `text` (ASCII); undefined while it is incomplete. */
function complete(text: string): string | undefined {
  const line = /^([:+-])(.*)\r\n/.exec(text);
  if (line?.[1] === "-") throw new Error(`Redis: ${line[2] ?? ""}`);
  if (line !== null) return line[2];
  const bulk = BULK.exec(text);
  if (bulk === null) {
    if (text.includes("\r\n")) throw new Error("Redis sent an unexpected type of reply");
    return undefined;
  }
  const [start, length] = [bulk[0].length, Number(bulk[1])];
  return text.length < start + length + 2 ? undefined : text.slice(start, start + length);
}
