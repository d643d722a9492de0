import type { Connection } from "../connection/connection.ts";
import type { Keys } from "../keys.ts";
import { FleetReader } from "./fleet-reader.ts";
import { MetricsReports } from "./metrics-reports.ts";
import { OpenTasks } from "./open-tasks.ts";
import { QueueReadings } from "./queue-readings.ts";
import { SummaryLog } from "./summary-log.ts";

/** Readers for people and metrics pages. No request depends on them. */
export interface Inspection {
  readonly fleet: FleetReader;
  readonly queues: QueueReadings;
  readonly tasks: OpenTasks;
  readonly summaries: SummaryLog;
  readonly workerMetrics: MetricsReports;
  readonly gatewayMetrics: MetricsReports;
}

/** Binds every reader to a connection and the names of its keys. Sends nothing. */
export function openInspection(connection: Connection, keys: Keys): Inspection {
  return {
    fleet: new FleetReader(connection, keys),
    queues: new QueueReadings(connection, keys),
    tasks: new OpenTasks(connection, keys),
    summaries: new SummaryLog(connection, keys),
    workerMetrics: MetricsReports.ofWorkers(connection, keys),
    gatewayMetrics: MetricsReports.ofGateways(connection, keys),
  };
}
