import type { Dashboard } from "./panel.ts";
import { once, quantile, rate } from "./promql.ts";

/** Gateways and Redis from inside. */
export const INTERNALS: Dashboard = {
  uid: "sgnet-internals",
  title: "Stargazer / Redis and gateway internals",
  description: "Is the fleet itself the cause: Redis, an overloaded gateway, the transport of frames?",
  variables: [],
  rows: [
    {
      title: "Redis",
      panels: [
        {
          title: "Memory",
          description: "Used memory, and the limit if there is one. At the limit every request is refused.",
          kind: "timeseries",
          unit: "bytes",
          width: 8,
          queries: [
            { expr: "max(sgnet_redis_used_memory_bytes)", legend: "used" },
            { expr: "max(sgnet_redis_max_memory_bytes) > 0", legend: "limit", dashed: true },
          ],
        },
        {
          title: "Latency",
          description:
            "Round trip of the announcements that gateways and workers send every 3 s. A worker far above the others has a bad network.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [0.05, 0.2],
          queries: [
            { expr: quantile(0.5, "sgnet_redis_roundtrip_seconds"), legend: "p50" },
            { expr: quantile(0.99, "sgnet_redis_roundtrip_seconds"), legend: "p99" },
            { expr: "max(sgnet_redis_ping_seconds)", legend: "ping of a gateway" },
          ],
        },
        {
          title: "Connections, and their errors",
          description: "Errors: broken connections and failed attempts, per second.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [
            { expr: "max(sgnet_redis_clients)", legend: "connections" },
            { expr: rate("sgnet_redis_errors_total"), legend: "errors per second", unit: "suffix: /s" },
          ],
        },
      ],
    },
    {
      title: "Gateways",
      panels: [
        {
          title: "Time to reach Redis, p99",
          description:
            "From accepting a request to Redis's confirmation: the gateway's own share of the time to the first token.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [0.05, 0.2],
          queries: [
            { expr: quantile(0.99, "sgnet_task_enqueue_seconds", "", "instance"), legend: "{{instance}}" },
          ],
        },
        {
          title: "Event-loop lag, p99",
          description: "0.02 means idle. Above 0.1 the gateway is overloaded: start another one.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [0.1, 0.2],
          queries: [
            {
              expr: 'max by (instance) (nodejs_eventloop_lag_p99_seconds{worker=""})',
              legend: "{{instance}}",
            },
          ],
        },
        {
          title: "CPU",
          description: "Cores in use by each gateway. A gateway cannot use much more than one.",
          kind: "timeseries",
          unit: "percentunit",
          width: 8,
          limits: [0.8, 0.95],
          queries: [
            { expr: rate("process_cpu_seconds_total", '{worker=""}', "instance"), legend: "{{instance}}" },
          ],
        },
        {
          title: "In flight, by phase",
          description:
            "queued: no worker has it. running: a worker has it, no token has come. answering: it has begun.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          stacked: true,
          queries: [{ expr: "sum by (phase) (sgnet_open_tasks)", legend: "{{phase}}" }],
        },
        {
          title: "Streams",
          description:
            "Open streams, and streams that wait for a slow client. Their data stays in Redis until the client reads.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [
            { expr: "sum(sgnet_open_streams)", legend: "open" },
            { expr: "sum(sgnet_stalled_streams)", legend: "slow client" },
          ],
        },
        {
          title: "Memory",
          description: "Resident memory of the gateway processes.",
          kind: "timeseries",
          unit: "bytes",
          width: 8,
          queries: [
            { expr: 'max by (instance) (process_resident_memory_bytes{worker=""})', legend: "{{instance}}" },
          ],
        },
        {
          title: "Answers that wait for their clients",
          description:
            "Bytes in the gateways' memory and in Redis. From three quarters of the limit on, new requests are refused (replies_full). At the limit, the slowest client is disconnected.",
          kind: "timeseries",
          unit: "bytes",
          width: 8,
          queries: [
            {
              expr: "sum by (instance, place) (sgnet_held_replies_bytes)",
              legend: "{{instance}}, {{place}}",
            },
            { expr: "min(sgnet_held_replies_limit_bytes)", legend: "limit of a gateway", dashed: true },
            { expr: rate("sgnet_replies_cut_total"), legend: "clients cut per second", unit: "suffix: /s" },
          ],
        },
        {
          title: "Connections and bodies",
          description:
            "Client connections, and the memory of their request bodies. Many of both with few requests: clients connect and send slowly.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [
            { expr: "max by (instance) (sgnet_client_connections)", legend: "{{instance}} connections" },
            {
              expr: "max by (instance) (sgnet_request_bodies_bytes)",
              legend: "{{instance}} bodies",
              unit: "bytes",
            },
          ],
        },
        {
          title: "Stalls",
          description:
            "Share of time in which a process stalled: stopped, swapped out, or busy with one piece of work. A stalled process does not judge the silence of others.",
          kind: "timeseries",
          unit: "percentunit",
          width: 8,
          limits: [0.01, 0.05],
          queries: [
            {
              expr: rate("sgnet_event_loop_stalled_seconds_total", "", "instance, worker"),
              legend: "{{instance}} {{worker}}",
            },
          ],
        },
      ],
    },
    {
      title: "Frames, leases and recoveries",
      panels: [
        {
          title: "Frames",
          description:
            "Frames that gateways received, per second, and gaps filled from reply streams. Gaps grow when a gateway or its network is overloaded.",
          kind: "timeseries",
          unit: "suffix: /s",
          width: 8,
          queries: [
            { expr: rate("sgnet_reply_frames_total"), legend: "frames" },
            { expr: rate("sgnet_reply_gaps_filled_total"), legend: "gaps filled" },
          ],
        },
        {
          title: "Frames per call",
          description: "Frames per call of workers to Redis: 1 with little load, more under load.",
          kind: "timeseries",
          unit: "short",
          width: 8,
          queries: [
            {
              expr: `${rate("sgnet_worker_frames_total")} / ${rate("sgnet_worker_flushes_total")}`,
              legend: "frames per call",
            },
          ],
        },
        {
          title: "Longest silence of a claimed request",
          description:
            "Above the lease (10 s), another worker should take it over. Above a minute, no worker does.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [20, 60],
          queries: [{ expr: once("sgnet_queue_oldest_idle_seconds", "model"), legend: "{{model}}" }],
        },
        {
          title: "Lost workers, seen by requests",
          description:
            "Requests taken over from silent workers, and refused frames of workers that came back, per second.",
          kind: "timeseries",
          unit: "suffix: /s",
          width: 12,
          queries: [
            { expr: rate("sgnet_worker_reclaims_total"), legend: "taken over" },
            { expr: rate("sgnet_worker_fenced_total"), legend: "late frames refused" },
            {
              expr: `${rate("sgnet_tasks_redelivered_total")} or vector(0)`,
              legend: "ended after a second delivery",
            },
          ],
        },
        {
          title: "Versions",
          description: "Processes by version. There should be several versions only during an upgrade.",
          kind: "timeseries",
          unit: "none",
          width: 12,
          stacked: true,
          queries: [
            { expr: "count by (version, node) (sgnet_build_info)", legend: "{{version}}, Node {{node}}" },
          ],
        },
      ],
    },
  ],
};
