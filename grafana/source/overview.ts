import type { Dashboard } from "./panel.ts";
import { mean, once, quantile, rate } from "./promql.ts";

const IS_UP = { 0: { text: "down" }, 1: { text: "up" } } as const;
const FAILED = '{code!~"ok|cancelled"}';

/** Is all well, and if not, where to look. */
export const OVERVIEW: Dashboard = {
  uid: "sgnet-overview",
  title: "Stargazer / Overview",
  description: "Is it slow, where, since when? Who waits? Then go on to models, nodes or internals.",
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
            "Share of the ended requests that neither got a whole answer nor were left by their client.",
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
          description: "Of 20 streams, 19 begin within this time.",
          kind: "stat",
          unit: "s",
          width: 4,
          limits: [10, 30],
          queries: [{ expr: quantile(0.95, "sgnet_task_first_byte_seconds"), legend: "p95" }],
        },
        {
          title: "Waiting",
          description:
            "Requests in the queues that no worker has taken. All slots of their models are in use, or nobody serves them.",
          kind: "stat",
          unit: "none",
          width: 4,
          limits: [10, 100],
          queries: [{ expr: `sum(${once("sgnet_queue_waiting_tasks", "model")})`, legend: "waiting" }],
        },
        {
          title: "Slots in use",
          description:
            "Share of the slots of healthy backends that run a request. Near 100 % for long: add nodes.",
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
          description:
            "Workers and gateways that announce themselves, and whether every gateway reaches Redis.",
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
            "The way to Redis, until a worker takes it, until the first token of a stream, until the end. Queue near first token: too few slots. First token far above queue: long prompts, model loads, a slow node.",
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
            "`ok` is a whole answer, `cancelled` a client that left; the others are fault codes, explained in docs/operations.md.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          colors: { ok: "green", cancelled: "blue" },
          queries: [{ expr: rate("sgnet_tasks_ended_total", "", "code"), legend: "{{code}}" }],
        },
        {
          title: "Requests without an answer, by whose doing",
          description:
            "Causes: the request itself, its client, a model, a backend, a worker, a gateway or Redis. Those of request and client are nothing to mend here.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tasks_failed_total", "", "cause"), legend: "{{cause}}" }],
        },
        {
          title: "Refused at the door",
          description:
            "Requests that never became tasks. queue_full, redis_down and draining are ours, the others the client's.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_requests_rejected_total", "", "code"), legend: "{{code}}" }],
        },
        {
          title: "Clients that left, by phase",
          description:
            "`queued`: they waited too long for the first byte. `answering`: they had read enough, or a proxy cut them off.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          stacked: true,
          queries: [{ expr: rate("sgnet_tasks_cancelled_total", "", "phase"), legend: "{{phase}}" }],
        },
      ],
    },
    {
      title: "Who waits, and what is made?",
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
          description: "As backends count them, when an answer is over; a long answer shows late.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 12,
          queries: [{ expr: rate("sgnet_tokens_total", "", "kind"), legend: "{{kind}}" }],
        },
      ],
    },
  ],
};
