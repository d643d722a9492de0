import type { Setting } from "./setting.ts";

/** How much is taken at once: what keeps memory bounded, whoever asks. */
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
    doc: "Largest request body taken; larger ones get 413.",
  },
  maxQueue: {
    env: "SGNET_MAX_QUEUE",
    flag: "max-queue",
    type: "number",
    default: 10_000,
    min: 1,
    max: 10_000_000,
    unit: "tasks",
    doc: "Open tasks one gateway takes for one model; more get 503 with Retry-After.",
  },
  maxQueueBytes: {
    env: "SGNET_MAX_QUEUE_BYTES",
    flag: "max-queue-bytes",
    type: "number",
    default: 536_870_912,
    min: 1024,
    max: 1_099_511_627_776,
    unit: "bytes",
    doc: "Bodies of the open tasks one gateway takes for one model, together; more get 503 with Retry-After.",
  },
  maxOpen: {
    env: "SGNET_MAX_OPEN",
    flag: "max-open",
    type: "number",
    default: 20_000,
    min: 1,
    max: 10_000_000,
    unit: "tasks",
    doc: "Open tasks one gateway takes for all models together; more get 503 with Retry-After.",
  },
  maxBodiesBytes: {
    env: "SGNET_MAX_BODIES_BYTES",
    flag: "max-bodies-bytes",
    type: "number",
    default: 1_073_741_824,
    min: 1024,
    max: 1_099_511_627_776,
    unit: "bytes",
    doc: "Request bodies one gateway holds in memory, of requests that arrive, wait or are answered, together; more get 503 with Retry-After. One alone may be larger.",
  },
  maxRepliesBytes: {
    env: "SGNET_MAX_REPLIES_BYTES",
    flag: "max-replies-bytes",
    type: "number",
    default: 0,
    min: 0,
    max: 1_099_511_627_776,
    unit: "bytes",
    doc: "Answers one gateway holds for clients that do not take them, in its memory and in Redis, together; from three quarters of it on new requests get 503 with Retry-After, and clients that take nothing are cut for them, the largest first. 0: a quarter of the memory there is (the least of machine, heap and Redis's maxmemory), from 256 MiB to 1 GiB.",
  },
  maxHeadBytes: {
    env: "SGNET_MAX_HEAD_BYTES",
    flag: "max-head-bytes",
    type: "number",
    default: 65_536,
    min: 4096,
    max: 1_048_576,
    unit: "bytes",
    doc: "Largest head of a request taken, its request line and headers; larger ones get 431.",
  },
  maxConnections: {
    env: "SGNET_MAX_CONNECTIONS",
    flag: "max-connections",
    type: "number",
    default: 0,
    min: 0,
    max: 10_000_000,
    doc: "Connections of clients that one gateway serves; requests on more get 503 with Retry-After, and the connection is closed. 0: four fifths of the files the process may open, at most 50000.",
  },
  slowClientMs: {
    env: "SGNET_SLOW_CLIENT_MS",
    flag: "slow-client-ms",
    type: "number",
    default: 25_000,
    min: 1000,
    max: 30_000,
    unit: "ms",
    doc: "How long a client may take nothing of its answer while its connection is full; then it is cut and its generation stopped.",
  },
};
