import { unlinkSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Server } from "node:net";

/** A hold on a folder that ends with the process at the latest, however it ends. */
export interface Lock {
  /** Idempotent. */
  release(): void;
}

/**
 * Takes a lock by listening on a unix socket: the kernel ends it with the process, so that neither a kill nor a
 * reused process id can leave a wrong one behind. Two processes that meet a dead owner's socket in the same
 * millisecond could both take it.
 * @returns undefined when a living process holds it
 */
export async function acquireLock(path: string): Promise<Lock | undefined> {
  const server = (await listen(path)) ?? ((await answers(path)) ? undefined : await listenAnew(path));
  if (server === undefined) return undefined;
  server.unref();
  return { release: () => void server.close() };
}

async function listenAnew(path: string): Promise<Server | undefined> {
  unlinkSync(path);
  return await listen(path);
}

/** Undefined when the address is taken. */
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
