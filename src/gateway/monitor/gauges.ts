import { OPEN_PHASES } from "../../core/task-phase.ts";
import type { Connection } from "../../redis/connection/connection.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Catalogue } from "../fleet/catalogue.ts";
import type { Exchange } from "../requests/exchange.ts";

/** Sources of a gateway's gauges, read at each scrape. */
export interface GaugesOptions {
  readonly metrics: GatewayMetrics;
  readonly commands: Pick<Connection, "ready">;
  readonly channel: Pick<Connection, "ready">;
  readonly catalogue: Pick<Catalogue, "workers" | "offered">;
  /** The open exchanges. */
  readonly exchanges: () => Iterable<Exchange>;
  /** Streams whose backend is paused. */
  readonly paused: () => number;
}

/** Registers the gauges of open tasks, of Redis and of the fleet. */
export function openGauges({
  metrics,
  commands,
  channel,
  catalogue,
  exchanges,
  paused,
}: GaugesOptions): void {
  metrics.observeEach("open_tasks", "Tasks accepted and not ended", {
    label: "phase",
    read: () => openByPhase(exchanges()),
  });
  metrics.observe("open_streams", "Streams whose answer has begun", () =>
    count(exchanges(), ({ task, phase }) => task.stream && phase === "answering"),
  );
  metrics.observe("stalled_streams", "Streams that wait for a slow client", () =>
    count(exchanges(), ({ stalled }) => stalled),
  );
  metrics.observe("held_streams", "Streams whose backend is held back for a slow client", () => paused());
  metrics.observe("redis_up", "1 when both Redis connections are up", () =>
    commands.ready && channel.ready ? 1 : 0,
  );
  metrics.observe("workers", "Workers that announce themselves", () => catalogue.workers.length);
  metrics.observe("models", "Models of which some backend takes tasks", () => catalogue.offered.size);
}

function count(exchanges: Iterable<Exchange>, counts: (exchange: Exchange) => boolean): number {
  let found = 0;
  for (const exchange of exchanges) if (counts(exchange)) found += 1;
  return found;
}

function openByPhase(exchanges: Iterable<Exchange>): Map<string, number> {
  const phases = new Map<string, number>(OPEN_PHASES.map((phase) => [phase, 0]));
  for (const { phase } of exchanges) phases.set(phase, (phases.get(phase) ?? 0) + 1);
  return phases;
}
