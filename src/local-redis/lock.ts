import { unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";

/** A lock on a folder. It ends with the process at the latest. */
export interface Lock {
  /** Idempotent. */
  release(): void;
}

/**
 * Takes a lock by listening on a unix socket. The kernel closes it with the process, so neither a kill nor a reused
 * process id leaves a stale lock. Two processes that find a dead owner's socket in the same millisecond could both take
 * it.
 * @returns undefined when a living process holds the lock
 */
export async function acquireLock(path: string): Promise<Lock | undefined> {
  const server = (await listen(path)) ?? ((await answers(path)) ? undefined : await replaceStale(path));
  if (server === undefined) return undefined;
  server.unref();
  return { release: () => void server.close() };
}

async function replaceStale(path: string): Promise<Server | undefined> {
  unlinkSync(path);
  return await listen(path);
}

/** A server on this address; undefined when the address is in use. */
function listen(path: string): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen(path, () => {
      resolve(server);
    });
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
