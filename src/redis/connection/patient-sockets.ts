import { subscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { processStalls } from "../../telemetry/stall-detector.ts";

/**
 * A process that stood still finds the silence limit of each connection expired when it goes on. Bytes that arrived
 * meanwhile are still unread. Without this file it would mistake its own stall for a silent Redis and hang up.
 * After a stall every connection gets its whole limit again. The timer of the stall meter fires before the limits do.
 */

const sockets = new Set<Socket>();

/** Runs once, when the first connection is opened. */
function watchSockets(): void {
  subscribe("net.client.socket", (message) => {
    const socket = socketOf(message);
    if (socket === undefined) return;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  processStalls.onStall(() => {
    for (const socket of sockets) {
      const { timeout = 0 } = socket;
      if (timeout > 0) socket.setTimeout(timeout);
    }
  });
}

function socketOf(message: unknown): Socket | undefined {
  if (typeof message !== "object" || message === null || !("socket" in message)) return undefined;
  return message.socket instanceof Socket ? message.socket : undefined;
}

let watched = false;

/** Keeps connections of this process alive over its own stalls, from now on. Idempotent. */
export function tolerateOwnStalls(): void {
  if (watched) return;
  watched = true;
  watchSockets();
}
