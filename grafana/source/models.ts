import type { Dashboard } from "./panel.ts";
import { once, quantile, rate } from "./promql.ts";

const MODEL = '{model=~"$model"}';
const FAILED = '{model=~"$model", code!~"ok|cancelled"}';

const tokens = (kind: string): string =>
  rate("sgnet_tokens_total", `{model=~"$model", kind="${kind}"}`, "model");

/** Which model is slow or crowded. */
export const MODELS: Dashboard = {
  uid: "sgnet-models",
  title: "Stargazer / Models and queues",
  description: "Which model is slow, which requests wait for it, and which workers serve it?",
  variables: [{ name: "model", label: "Model", of: ["sgnet_queue_waiting_tasks", "model"] }],
  rows: [
    {
      title: "Which requests wait?",
      panels: [
        {
          title: "Waiting",
          description: "Queued requests that no worker has claimed.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [{ expr: once("sgnet_queue_waiting_tasks", "model", MODEL), legend: "{{model}}" }],
        },
        {
          title: "Longest wait",
          description:
            "Age of the first request in each queue. It grows by one second per second when no worker claims a request.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [30, 60],
          queries: [{ expr: once("sgnet_queue_oldest_wait_seconds", "model", MODEL), legend: "{{model}}" }],
        },
        {
          title: "Wait before the claim, p95",
          description: "Wait of ended requests. Without a queue it is a few milliseconds.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          queries: [
            { expr: quantile(0.95, "sgnet_task_queue_seconds", MODEL, "model"), legend: "{{model}}" },
          ],
        },
      ],
    },
    {
      title: "Is it slow?",
      panels: [
        {
          title: "Time to the first token, p95",
          description: "It includes the wait in the queue.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          queries: [
            { expr: quantile(0.95, "sgnet_task_first_byte_seconds", MODEL, "model"), legend: "{{model}}" },
          ],
        },
        {
          title: "Gap between tokens",
          description:
            "Mean of each stream; half of the streams are below p50. People read about one token per 0.15 s.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          queries: [
            { expr: quantile(0.5, "sgnet_task_token_gap_seconds", MODEL, "model"), legend: "{{model}} p50" },
            { expr: quantile(0.95, "sgnet_task_token_gap_seconds", MODEL, "model"), legend: "{{model}} p95" },
          ],
        },
        {
          title: "Whole request, p95",
          description: "By endpoint: chats are long, embeddings short.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          queries: [
            {
              expr: quantile(0.95, "sgnet_task_duration_seconds", MODEL, "endpoint"),
              legend: "{{endpoint}}",
            },
          ],
        },
      ],
    },
    {
      title: "Which workers serve it?",
      panels: [
        {
          title: "Running and slots",
          description:
            "Claimed requests, and slots of healthy backends with the model. A slot serves all models of its backend.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [
            { expr: once("sgnet_queue_claimed_tasks", "model", MODEL), legend: "{{model}} running" },
            { expr: once("sgnet_model_slots", "model", MODEL), legend: "{{model}} slots", dashed: true },
          ],
        },
        {
          title: "Workers that serve it",
          description: "Zero: requests wait until a worker comes, or until their deadline.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          floors: [1, 2],
          queries: [{ expr: once("sgnet_model_workers", "model", MODEL), legend: "{{model}}" }],
        },
        {
          title: "Nodes that have it in memory",
          description:
            "On other nodes, a request first waits for a load. Zero is normal for a model without recent requests.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [
            {
              expr: `count by (model) (${once("sgnet_model_resident", "model, worker, backend", MODEL)}) or 0 * ${once("sgnet_model_workers", "model", MODEL)}`,
              legend: "{{model}}",
            },
          ],
        },
      ],
    },
    {
      title: "How many tokens, and how many failures?",
      panels: [
        {
          title: "Generated tokens",
          description: "Completion tokens per second, as backends count them at the end of an answer.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 8,
          queries: [{ expr: tokens("completion"), legend: "{{model}}" }],
        },
        {
          title: "Prompt tokens",
          description:
            "Prompt tokens per second. Far above the generated tokens: long prompts, which delay the first token.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 8,
          queries: [{ expr: tokens("prompt"), legend: "{{model}}" }],
        },
        {
          title: "Requests",
          description: "Ended requests, with any result.",
          kind: "timeseries",
          unit: "reqps",
          width: 8,
          stacked: true,
          queries: [{ expr: rate("sgnet_tasks_ended_total", MODEL, "model"), legend: "{{model}}" }],
        },
        {
          title: "Failing",
          description:
            "Requests without a complete answer, except those whose client was gone. Fault codes are explained in docs/operations.md.",
          kind: "timeseries",
          unit: "reqps",
          width: 12,
          queries: [
            { expr: rate("sgnet_tasks_ended_total", FAILED, "model, code"), legend: "{{model}} {{code}}" },
          ],
        },
        {
          title: "Dead letters",
          description:
            "Requests that failed after too many deliveries. Check each one: it may be the request that kills workers.",
          kind: "timeseries",
          unit: "none",
          width: 12,
          limits: [1, 10],
          queries: [{ expr: once("sgnet_dead_letters", "model", MODEL), legend: "{{model}}" }],
        },
      ],
    },
  ],
};
