import { subscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { ownStalls } from "../telemetry/stall-meter.ts";

/**
 * A process that stood still finds the silence limit of each connection run out when it goes on, and what came meanwhile
 * unread behind it: it would take its own silence for that of Redis, and hang up. So after a stall every connection that
 * it has opened gets its whole limit again, before any of them is judged: the meter's timer is due first.
 */

const sockets = new Set<Socket>();

/** Called once, when the first connection is opened. */
function watchSockets(): void {
  subscribe("net.client.socket", (message) => {
    const socket = socketOf(message);
    if (socket === undefined) return;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  ownStalls.onStall(() => {
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

/** From now on connections of this process are not cut for its own stalls. Idempotent. */
export function forgiveOwnStalls(): void {
  if (watched) return;
  watched = true;
  watchSockets();
}
