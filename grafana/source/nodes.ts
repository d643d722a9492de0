import type { Dashboard } from "./panel.ts";
import { once, quantile } from "./promql.ts";

const HERE = '{host=~"$host"}';

/** Adds the host to series that have the worker only. */
const HOST = `* on (worker) group_left (host) ${once("sgnet_worker_up", "worker, host", HERE)}`;

/** Loads are too rare for a rate: all since the worker started. */
const LOAD_TIME = ["sum", "count"]
  .map((part) => `sum by (worker, backend, model) (sgnet_worker_model_load_seconds_${part})`)
  .join(" / ");

/** Which node is bad. */
export const NODES: Dashboard = {
  uid: "sgnet-nodes",
  title: "Stargazer / Nodes",
  description: "Which node fails, which is full, and which models are in memory?",
  variables: [{ name: "host", label: "Host", of: ["sgnet_worker_up", "host"] }],
  rows: [
    {
      title: "Which node fails?",
      panels: [
        {
          title: "Backends that are up",
          description:
            "Does the backend answer its worker? A backend that is down gets no requests; its worker's log has the reason.",
          kind: "timeseries",
          unit: "none",
          width: 6,
          floors: [1, 1],
          words: { 0: { text: "down" }, 1: { text: "up" } },
          queries: [
            { expr: once("sgnet_backend_up", "host, backend", HERE), legend: "{{host}} {{backend}}" },
          ],
        },
        {
          title: "Circuits",
          description:
            "Open: the backend failed repeatedly with the model and gets none of its requests. Probing: it gets a single one. Closed: normal.",
          kind: "timeseries",
          unit: "none",
          width: 6,
          limits: [1, 2],
          words: { 0: { text: "closed" }, 1: { text: "probing" }, 2: { text: "open" } },
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
            "Per second, by backend and code. backend_*: the server failed. worker_lost: the worker was silent too long.",
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
              expr: `${quantile(0.95, "sgnet_worker_attempt_duration_seconds", "", "worker, backend")} ${HOST}`,
              legend: "{{host}} {{backend}}",
            },
          ],
        },
        {
          title: "Failed attempts, by cause",
          description:
            "Per second, by backend and cause. Only the causes backend and model open a circuit. Many failures with cause request or client are a client's mistake.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          queries: [
            {
              expr: `sum by (host, backend, cause) (rate(sgnet_worker_attempts_failed_total[$__rate_interval]) ${HOST})`,
              legend: "{{host}} {{backend}} {{cause}}",
            },
          ],
        },
        {
          title: "Probes",
          description:
            "Small requests that a worker sends to a suspected backend, per second, by answer. A failed probe keeps the circuit open. A healthy backend gets no probes.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          queries: [
            {
              expr: `sum by (host, backend, answer) (rate(sgnet_worker_probes_total[$__rate_interval]) ${HOST})`,
              legend: "{{host}} {{backend}} {{answer}}",
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
          description: "Running requests as a share of the slots of the backend.",
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
          description: "Completion tokens by host, added at the end of an answer.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
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
          title: "Requests taken over or requeued",
          description:
            "Taken over: another worker fell silent. Requeued: the backend failed or was busy, or the worker stopped.",
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
              legend: "{{host}} requeued, {{reason}}",
            },
          ],
        },
      ],
    },
    {
      title: "Which models are in memory?",
      panels: [
        {
          title: "Models in memory",
          description: "Memory of each model, where the backend reports it.",
          kind: "timeseries",
          unit: "bytes",
          width: 8,
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
            "Number of model loads. Many loads: models replace each other; spread them over nodes.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          limits: [10, 30],
          queries: [
            {
              expr: `round(sum by (worker, backend, model) (increase(sgnet_worker_model_loads_total[1h])) ${HOST})`,
              legend: "{{host}} {{backend}} {{model}}",
            },
          ],
        },
        {
          title: "Swaps",
          description:
            "Loads that unloaded another model, in the last hour. Many swaps: the models in use do not fit into memory together. Spread them over nodes, or raise SGNET_SWAP_RESIDENCY_MS.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [
            {
              expr: `round(sum by (worker, backend) (increase(sgnet_swaps_total[1h])) ${HOST})`,
              legend: "{{host}} {{backend}} swaps",
            },
          ],
        },
        {
          title: "Wait for a swap, p95",
          description:
            "Wait of the first request for a model at the start of such a load. SGNET_SWAP_WAIT_MS bounds it; a loaded model stays for SGNET_SWAP_RESIDENCY_MS.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          queries: [
            {
              expr: `${quantile(0.95, "sgnet_swap_wait_seconds", "", "worker, backend")} ${HOST}`,
              legend: "{{host}} {{backend}} waited",
            },
          ],
        },
        {
          title: "Model load, mean",
          description:
            "Mean load time of models since the start of the worker, for loads of half a second or more. Only Ollama reports it. Long: a slow disk, or a model that is too large for the node.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          queries: [
            {
              expr: `(${LOAD_TIME}) ${HOST}`,
              legend: "{{host}} {{backend}} {{model}}",
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
          description: "A draining worker takes no more requests.",
          kind: "table",
          unit: "none",
          width: 8,
          queries: [{ expr: once("sgnet_worker_draining", "worker, host, version", HERE), legend: "" }],
          words: { 0: { text: "no", color: "green" }, 1: { text: "yes", color: "yellow" } },
          columns: { host: "Host", worker: "Worker", version: "Version", Value: "Drains" },
        },
        {
          title: "Event-loop lag, p99",
          description:
            "0.02 means idle. Above 0.2 the worker is overloaded: use fewer slots, or a second worker.",
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
