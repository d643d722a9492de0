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
  description: "Which model is slow, who waits for it, and is there anybody to serve it?",
  variables: [{ name: "model", label: "Model", of: ["sgnet_queue_waiting_tasks", "model"] }],
  rows: [
    {
      title: "Who waits?",
      panels: [
        {
          title: "Waiting",
          description: "Requests queued and not claimed.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          queries: [{ expr: once("sgnet_queue_waiting_tasks", "model", MODEL), legend: "{{model}}" }],
        },
        {
          title: "Oldest waits for",
          description:
            "Age of the first request in each queue. It grows by a second a second when nobody takes anything.",
          kind: "timeseries",
          unit: "s",
          width: 8,
          limits: [30, 60],
          queries: [{ expr: once("sgnet_queue_oldest_wait_seconds", "model", MODEL), legend: "{{model}}" }],
        },
        {
          title: "Wait before a worker takes it, p95",
          description: "Of requests that ended. Without a queue it is a few milliseconds.",
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
          description: "The wait in the queue is part of it.",
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
          description: "By what was asked: chats are long, embeddings short.",
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
      title: "Is there anybody to serve it?",
      panels: [
        {
          title: "Running and slots",
          description:
            "Requests in workers' hands, and slots of healthy backends that have the model. A slot serves all models of its backend.",
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
          description: "Zero: requests wait until one comes, or their deadline.",
          kind: "timeseries",
          unit: "none",
          width: 8,
          floors: [1, 2],
          queries: [{ expr: once("sgnet_model_workers", "model", MODEL), legend: "{{model}}" }],
        },
        {
          title: "Nodes that have it in memory",
          description:
            "A request elsewhere waits for a load first. Zero is normal for a model that nobody has asked for lately.",
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
      title: "What is made, and what fails?",
      panels: [
        {
          title: "Tokens made",
          description: "Completion tokens per second, as backends count them when an answer is over.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 8,
          queries: [{ expr: tokens("completion"), legend: "{{model}}" }],
        },
        {
          title: "Tokens read",
          description:
            "Prompt tokens per second. Far above those made: long prompts, which delay the first token.",
          kind: "timeseries",
          unit: "suffix: tokens/s",
          width: 8,
          queries: [{ expr: tokens("prompt"), legend: "{{model}}" }],
        },
        {
          title: "Requests",
          description: "Requests that ended, however they did.",
          kind: "timeseries",
          unit: "reqps",
          width: 8,
          stacked: true,
          queries: [{ expr: rate("sgnet_tasks_ended_total", MODEL, "model"), legend: "{{model}}" }],
        },
        {
          title: "Failing",
          description:
            "Requests that neither got a whole answer nor were left by their client. Fault codes are explained in docs/operations.md.",
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
            "Requests given up after too many deliveries. Each one is worth a look: it may be what kills workers.",
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
