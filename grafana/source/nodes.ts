import type { Dashboard } from "./panel.ts";
import { once, quantile } from "./promql.ts";

const HERE = '{host=~"$host"}';

/** Adds the host to series that have the worker only. */
const HOST = `* on (worker) group_left (host) ${once("sgnet_worker_up", "worker, host", HERE)}`;

/** Which node is bad. */
export const NODES: Dashboard = {
  uid: "sgnet-nodes",
  title: "Stargazer / Nodes",
  description: "Which node is bad, which is full, what do they hold in memory?",
  variables: [{ name: "host", label: "Host", of: ["sgnet_worker_up", "host"] }],
  rows: [
    {
      title: "Which node is bad?",
      panels: [
        {
          title: "Backends that are up",
          description:
            "1 when the backend answers its worker. No request goes to one at 0; its worker's log says why.",
          kind: "timeseries",
          unit: "short",
          width: 6,
          floors: [1, 1],
          queries: [
            { expr: once("sgnet_backend_up", "host, backend", HERE), legend: "{{host}} {{backend}}" },
          ],
        },
        {
          title: "Circuits",
          description:
            "2 (open): the backend failed with the model again and again and gets none of its requests. 1: it gets one as a probe. 0: all is well.",
          kind: "timeseries",
          unit: "short",
          width: 6,
          floors: [1, 2],
          queries: [
            {
              expr: once("sgnet_model_circuit", "host, backend, model", HERE),
              legend: "{{host}} {{backend}} {{model}}",
            },
          ],
        },
        {
          title: "Failed attempts",
          description:
            "Per second, by backend and code. backend_* is the server's doing, worker_lost a worker that was away too long.",
          kind: "timeseries",
          unit: "reqps",
          width: 6,
          queries: [
            {
              expr: `sum by (host, backend, code) (rate(sgnet_worker_attempts_ended_total{code!~"ok|cancelled"}[$__rate_interval]) ${HOST})`,
              legend: "{{host}} {{backend}} {{code}}",
            },
          ],
        },
        {
          title: "Attempt, p95",
          description:
            "From the claim to the end of an attempt. One backend far above the others with the same models is slow.",
          kind: "timeseries",
          unit: "s",
          width: 6,
          queries: [
            {
              expr: quantile(0.95, "sgnet_worker_attempt_duration_seconds", "", "backend"),
              legend: "{{backend}}",
            },
          ],
        },
      ],
    },
    {
      title: "Which node is full?",
      panels: [
        {
          title: "Slots in use",
          description: "Requests a backend runs, by the slots it has.",
          kind: "timeseries",
          unit: "percentunit",
          width: 8,
          queries: [
            {
              expr: `${once("sgnet_backend_busy_slots", "host, backend", HERE)} / ${once("sgnet_backend_slots", "host, backend", HERE)}`,
              legend: "{{host}} {{backend}}",
            },
          ],
        },
        {
          title: "Tokens per second",
          description: "Completion tokens, by host, when an answer is over.",
          kind: "timeseries",
          unit: "cps",
          width: 8,
          stacked: true,
          queries: [
            {
              expr: `sum by (host) (rate(sgnet_worker_tokens_total{kind="completion"}[$__rate_interval]) ${HOST})`,
              legend: "{{host}}",
            },
          ],
        },
        {
          title: "Requests taken over or given back",
          description:
            "Taken over: another worker fell silent. Given back: to be run again, because the backend failed or was busy, or the worker stopped.",
          kind: "timeseries",
          unit: "reqps",
          width: 8,
          queries: [
            {
              expr: `sum by (host) (rate(sgnet_worker_reclaims_total[$__rate_interval]) ${HOST})`,
              legend: "{{host}} taken over",
            },
            {
              expr: `sum by (host, reason) (rate(sgnet_worker_handbacks_total[$__rate_interval]) ${HOST})`,
              legend: "{{host}} given back, {{reason}}",
            },
          ],
        },
      ],
    },
    {
      title: "What do they hold in memory?",
      panels: [
        {
          title: "Models in memory",
          description: "What each model takes, where the backend tells.",
          kind: "timeseries",
          unit: "bytes",
          width: 12,
          stacked: true,
          queries: [
            {
              expr: once("sgnet_model_memory_bytes", "host, backend, model", HERE),
              legend: "{{host}} {{backend}} {{model}}",
            },
          ],
        },
        {
          title: "Model loads, last hour",
          description:
            "How often a model came into memory. Many: models push each other out; spread them over nodes.",
          kind: "timeseries",
          unit: "short",
          width: 12,
          limits: [10, 30],
          queries: [
            {
              expr: "sum by (backend, model) (increase(sgnet_worker_model_loads_total[1h]))",
              legend: "{{backend}} {{model}}",
            },
          ],
        },
      ],
    },
    {
      title: "The workers themselves",
      panels: [
        {
          title: "Workers",
          description: "1 in the last column: it drains, it takes no more requests.",
          kind: "table",
          unit: "short",
          width: 8,
          queries: [{ expr: once("sgnet_worker_draining", "worker, host, version", HERE), legend: "" }],
        },
        {
          title: "Event-loop lag, p99",
          description: "0.02 is rest. Above 0.2 the worker cannot keep up: fewer slots, or a second worker.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [0.1, 0.2],
          queries: [
            {
              expr: `max by (host, worker) (nodejs_eventloop_lag_p99_seconds{worker!=""} ${HOST})`,
              legend: "{{host}} {{worker}}",
            },
          ],
        },
        {
          title: "Memory",
          description: "Resident memory of the worker processes.",
          kind: "timeseries",
          unit: "bytes",
          width: 8,
          queries: [
            {
              expr: `max by (host, worker) (process_resident_memory_bytes{worker!=""} ${HOST})`,
              legend: "{{host}} {{worker}}",
            },
          ],
        },
      ],
    },
  ],
};
