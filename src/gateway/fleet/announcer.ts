import { hostname } from "node:os";
import { systemAmbient } from "../../core/ambient.ts";
import type { GatewayAnnouncement } from "../../core/fleet.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import { ANNOUNCE_MS } from "../../redis/registry.ts";
import type { Stores } from "../../redis/stores.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";

export interface GatewayAnnouncerOptions {
  readonly commands: Connection;
  readonly stores: Pick<Stores, "registry">;
  /** The part of the announcement that stays. */
  readonly gateway: Pick<GatewayAnnouncement, "tag" | "version" | "port" | "listen">;
  /** Returns the part that changes. */
  readonly status: () => Pick<GatewayAnnouncement, "open" | "tokensPerSecond" | "tenants" | "server">;
  readonly metrics: Pick<GatewayMetrics, "redisAnswered">;
}

/** A running announcer. */
export interface GatewayAnnouncer {
  /** Announces at once, since the status has changed. */
  readonly announce: () => void;
  readonly stop: () => void;
}

/** Announces the gateway until it is stopped. Workers drop tasks of gateways that announce themselves no longer. */
export function startGatewayAnnouncer(options: GatewayAnnouncerOptions): GatewayAnnouncer {
  const { commands: connection, stores, gateway, status, metrics } = options;
  const startedAt = systemAmbient.now();
  const announce = (): void => {
    const from = systemAmbient.mono();
    const announced = stores.registry.announceGateway({
      ...gateway,
      host: hostname(),
      pid: process.pid,
      startedAt,
      seenAt: systemAmbient.now(),
      ...status(),
    });
    announced
      .then(() => metrics.redisAnswered((systemAmbient.mono() - from) / 1000))
      // With Redis away the reconnect announces.
      .catch(() => undefined);
  };
  announce();
  connection.onReconnect(announce);
  const timer = setInterval(announce, ANNOUNCE_MS);
  return { announce, stop: () => clearInterval(timer) };
}
