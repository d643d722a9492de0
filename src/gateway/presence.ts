import { hostname } from "node:os";
import { systemAmbient } from "../core/ambient.ts";
import type { Connection } from "../redis/connection.ts";
import type { Keys } from "../redis/keys.ts";
import { announceGateway, ANNOUNCE_MS } from "../redis/registry.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Observatory } from "./observatory.ts";
import type { Switchboard } from "./switchboard.ts";

export interface PresenceOptions {
  readonly commands: Connection;
  readonly keys: Keys;
  readonly gateway: {
    readonly tag: string;
    readonly version: string;
    readonly port: number;
    /** The address it listens on. */
    readonly listen: string;
  };
  readonly board: Pick<Switchboard, "open" | "comeback">;
  readonly observatory: Pick<Observatory, "tokensPerSecond">;
  readonly metrics: Pick<GatewayMetrics, "redisAnswered">;
}

/** Announces the gateway until the returned function is called. Workers drop tasks of gateways that are gone. */
export function startPresence(options: PresenceOptions): () => void {
  const { commands: connection, keys, gateway, board, observatory, metrics } = options;
  const startedAt = systemAmbient.now();
  const announce = (): void => {
    const from = systemAmbient.mono();
    const { server } = board.comeback;
    const announced = announceGateway(connection, keys, {
      ...gateway,
      host: hostname(),
      pid: process.pid,
      startedAt,
      seenAt: systemAmbient.now(),
      open: board.open,
      tokensPerSecond: observatory.tokensPerSecond,
      ...(server === undefined ? {} : { server }),
    });
    announced
      .then(() => metrics.redisAnswered((systemAmbient.mono() - from) / 1000))
      // With Redis away the reconnect announces.
      .catch(() => undefined);
  };
  announce();
  connection.onReconnect(announce);
  board.comeback.onTold(announce);
  const timer = setInterval(announce, ANNOUNCE_MS);
  return () => {
    clearInterval(timer);
  };
}
