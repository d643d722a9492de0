import type { Setting } from "./setting.ts";

/** Limits that keep memory bounded, whatever clients send. */
export interface LimitSettings {
  readonly maxBodyBytes: number;
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
  readonly maxOpen: number;
  readonly maxBodiesBytes: number;
  readonly maxRepliesBytes: number;
  readonly maxHeadBytes: number;
  readonly maxConnections: number;
  readonly slowClientMs: number;
  readonly tenantMetrics: number;
}

export const LIMIT_SETTINGS: { readonly [Name in keyof LimitSettings]: Setting } = {
  maxBodyBytes: {
    env: "SGNET_MAX_BODY_BYTES",
    flag: "max-body-bytes",
    type: "number",
    default: 67_108_864,
    min: 1024,
    max: 536_870_912,
    unit: "bytes",
    doc: "Largest request body; larger ones get 413.",
  },
  maxQueue: {
    env: "SGNET_MAX_QUEUE",
    flag: "max-queue",
    type: "number",
    default: 10_000,
    min: 1,
    max: 10_000_000,
    unit: "tasks",
    doc: "Most open tasks of one gateway for one model; more get 503 with Retry-After.",
  },
  maxQueueBytes: {
    env: "SGNET_MAX_QUEUE_BYTES",
    flag: "max-queue-bytes",
    type: "number",
    default: 536_870_912,
    min: 1024,
    max: 1_099_511_627_776,
    unit: "bytes",
    doc: "Most bytes of request bodies of one gateway's open tasks for one model; more get 503 with Retry-After.",
  },
  maxOpen: {
    env: "SGNET_MAX_OPEN",
    flag: "max-open",
    type: "number",
    default: 20_000,
    min: 1,
    max: 10_000_000,
    unit: "tasks",
    doc: "Most open tasks of one gateway for all models together; more get 503 with Retry-After.",
  },
  maxBodiesBytes: {
    env: "SGNET_MAX_BODIES_BYTES",
    flag: "max-bodies-bytes",
    type: "number",
    default: 1_073_741_824,
    min: 1024,
    max: 1_099_511_627_776,
    unit: "bytes",
    doc: "Most bytes of request bodies that one gateway holds in memory, of requests that arrive, wait or are being answered; more get 503 with Retry-After. A single body may be larger.",
  },
  maxRepliesBytes: {
    env: "SGNET_MAX_REPLIES_BYTES",
    flag: "max-replies-bytes",
    type: "number",
    default: 0,
    min: 0,
    max: 1_099_511_627_776,
    unit: "bytes",
    doc: "Most bytes of answers that one gateway holds in memory and in Redis for clients that do not read them. From three quarters of this limit on, new requests get 503 with Retry-After. Clients that read nothing are disconnected, those with the largest answers first. 0: a quarter of the available memory (the least of machine, heap and Redis's maxmemory), from 256 MiB to 1 GiB.",
  },
  maxHeadBytes: {
    env: "SGNET_MAX_HEAD_BYTES",
    flag: "max-head-bytes",
    type: "number",
    default: 65_536,
    min: 4096,
    max: 1_048_576,
    unit: "bytes",
    doc: "Largest request head (request line and headers); larger ones get 431.",
  },
  maxConnections: {
    env: "SGNET_MAX_CONNECTIONS",
    flag: "max-connections",
    type: "number",
    default: 0,
    min: 0,
    max: 10_000_000,
    doc: "Most client connections of one gateway. A request on a further one gets 503 with Retry-After, and the connection is closed. 0: four fifths of the process's limit of open files, at most 50000.",
  },
  slowClientMs: {
    env: "SGNET_SLOW_CLIENT_MS",
    flag: "slow-client-ms",
    type: "number",
    default: 25_000,
    min: 1000,
    max: 30_000,
    unit: "ms",
    doc: "Longest time that a client may read nothing of its answer. Then it is disconnected and its generation stops.",
  },
  tenantMetrics: {
    env: "SGNET_TENANT_METRICS",
    flag: "tenant-metrics",
    type: "number",
    default: 50,
    min: 0,
    max: 10_000,
    doc: "Most tenants with a label of their own in the metrics of one gateway; the rest are other.",
  },
};
