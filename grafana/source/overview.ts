import type { Dashboard } from "./panel.ts";
import { mean, once, quantile, rate } from "./promql.ts";

const IS_UP = { 0: { text: "down" }, 1: { text: "up" } } as const;
const FAILED = '{code!~"ok|cancelled"}';

/** Is the fleet healthy? If not, it shows the place of the problem. */
export const OVERVIEW: Dashboard = {
  uid: "sgnet-overview",
  title: "Stargazer / Overview",
  description:
    "Is it slow, where, and since when? Which requests wait? Details are in models, nodes and internals.",
  variables: [],
  rows: [
    {
      title: "Now",
      panels: [
        {
          title: "Requests",
          description: "Requests accepted per second, by all gateways.",
          kind: "stat",
          unit: "reqps",
          width: 4,
          queries: [{ expr: rate("sgnet_tasks_opened_total"), legend: "requests" }],
        },
        {
          title: "Failing",
          description:
            "Share of ended requests without a complete answer, except those whose client was gone.",
          kind: "stat",
          unit: "percentunit",
          width: 4,
          limits: [0.01, 0.05],
          queries: [
            {
              expr: `(${rate("sgnet_tasks_ended_total", FAILED)} or vector(0)) / ${rate("sgnet_tasks_ended_total")}`,
              legend: "failing",
            },
          ],
        },
        {
          title: "First token, p95",
          description: "19 of 20 streams begin within this time.",
          kind: "stat",
          unit: "s",
          width: 4,
          limits: [10, 30],
          queries: [{ expr: quantile(0.95, "sgnet_task_first_byte_seconds"), legend: "p95" }],
        },
        {
          title: "Waiting",
          description:
            "Queued requests that no worker has claimed. All slots of their models are in use, or no worker serves them.",
          kind: "stat",
          unit: "none",
          width: 4,
          limits: [10, 100],
          queries: [{ expr: `sum(${once("sgnet_queue_waiting_tasks", "model")})`, legend: "waiting" }],
        },
        {
          title: "Slots in use",
          description:
            "Share of the slots of healthy backends that run a request. Near 100 % for a long time: add nodes.",
          kind: "stat",
          unit: "percentunit",
          width: 4,
          limits: [0.8, 0.95],
          queries: [
            {
              expr: `sum(${once("sgnet_backend_busy_slots", "worker, backend")}) / sum(${once("sgnet_backend_slots", "worker, backend")} * ${once("sgnet_backend_up", "worker, backend")})`,
              legend: "in use",
            },
          ],
        },
        {
          title: "Alive",
          description: "Announced workers and gateways, and the gateways' connection to Redis.",
          kind: "stat",
          unit: "none",
          width: 4,
          floors: [1, 1],
          queries: [
            { expr: `count(${once("sgnet_worker_up", "worker")})`, legend: "workers" },
            { expr: "max(sgnet_gateways)", legend: "gateways" },
            { expr: "min(sgnet_redis_up)", legend: "Redis", words: IS_UP },
          ],
        },
      ],
    },
    {
      title: "Is it slow, and since when?",
      panels: [
        {
          title: "Time to the first token",
          description: "From accepting a request to the first byte of its stream.",
          kind: "timeseries",
          unit: "s",
          width: 12,
          queries: [0.5, 0.95, 0.99].map((share) => ({
            expr: quantile(share, "sgnet_task_first_byte_seconds"),
            legend: `p${share * 100}`,
          })),
        },
        {
          title: "Where the time goes, mean",
          description:
            "Mean time until Redis has the request, until a worker claims it, until the first token, until the end. Queue near first token: too few slots. First token far above queue: long prompts, model loads, or a slow node.",
          kind: "timeseries",
          unit: "s",
          width: 12,
          queries: [
            { expr: mean("sgnet_task_enqueue_seconds"), legend: "to Redis" },
            { expr: mean("sgnet_task_queue_seconds"), legend: "queue" },
            { expr: mean("sgnet_task_first_byte_seconds"), legend: "first token" },
            { expr: mean("sgnet_task_duration_seconds"), legend: "end" },
          ],
        },
      ],
    },
    {
      title: "What happens to requests?",
      panels: [
        {
          title: "Requests by outcome",
          description:
            "`ok`: a complete answer. `cancelled`: the client was gone. Other codes are faults, explained in docs/operations.md.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          colors: { ok: "green", cancelled: "blue" },
          queries: [{ expr: rate("sgnet_tasks_ended_total", "", "code"), legend: "{{code}}" }],
        },
        {
          title: "Requests without an answer, by cause",
          description:
            "Causes: the request itself, its client, a model, a backend, a worker, a gateway or Redis. Causes request and client need no repair here.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tasks_failed_total", "", "cause"), legend: "{{cause}}" }],
        },
        {
          title: "Refused requests",
          description:
            "Requests that were refused before they became tasks. queue_full, redis_down and draining are causes of the fleet, the others of the client.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_requests_rejected_total", "", "code"), legend: "{{code}}" }],
        },
        {
          title: "Clients gone, by phase",
          description:
            "`queued`: they waited too long for the first byte. `answering`: they had read enough, or a proxy closed the connection.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tasks_cancelled_total", "", "phase"), legend: "{{phase}}" }],
        },
      ],
    },
    {
      title: "Which requests wait, and how many tokens are generated?",
      panels: [
        {
          title: "Waiting, by model",
          description: "Depth of each queue.",
          kind: "timeseries",
          unit: "none",
          width: 12,
          stacked: true,
          queries: [{ expr: once("sgnet_queue_waiting_tasks", "model"), legend: "{{model}}" }],
        },
        {
          title: "Tokens per second",
          description:
            "Tokens as backends count them, added at the end of an answer; a long answer appears late.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 12,
          queries: [{ expr: rate("sgnet_tokens_total", "", "kind"), legend: "{{kind}}" }],
        },
      ],
    },
  ],
};
