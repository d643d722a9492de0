import { MODEL_TIMEOUTS } from "../core/timeouts.ts";
import type { Setting } from "./setting.ts";

/** How long a request may take, in all and in each phase. */
export interface TimeoutSettings {
  readonly taskTimeoutMs: number;
  readonly queueTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly firstTokenTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly modelTimeouts: string;
}

/** Their part of the table of settings. */
export const TIMEOUT_SETTINGS: { readonly [Name in keyof TimeoutSettings]: Setting } = {
  taskTimeoutMs: {
    env: "SGNET_TASK_TIMEOUT_MS",
    flag: "task-timeout-ms",
    type: "number",
    default: 3_600_000,
    min: 1000,
    max: 604_800_000,
    unit: "ms",
    doc: "Longest life of a request, queue and answer together.",
  },
  queueTimeoutMs: {
    env: "SGNET_QUEUE_TIMEOUT_MS",
    flag: "queue-timeout-ms",
    type: "number",
    default: 0,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "How long a request may wait for a worker before it gets 503; 0: as long as it may live.",
  },
  connectTimeoutMs: {
    env: "SGNET_CONNECT_TIMEOUT_MS",
    flag: "connect-timeout-ms",
    type: "number",
    default: 5000,
    min: 100,
    max: 60_000,
    unit: "ms",
    doc: "How long a connection to a backend may take; the shorter of what gateway and worker are set to counts.",
  },
  firstTokenTimeoutMs: {
    env: "SGNET_FIRST_TOKEN_TIMEOUT_MS",
    flag: "first-token-timeout-ms",
    type: "number",
    default: 1_800_000,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "How long a backend may take to begin a streamed answer, the load of the model included; 0: as long as the request may live.",
  },
  idleTimeoutMs: {
    env: "SGNET_IDLE_TIMEOUT_MS",
    flag: "idle-timeout-ms",
    type: "number",
    default: 300_000,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "How long a backend may fall silent in a streamed answer; 0: as long as the request may live.",
  },
  modelTimeouts: {
    env: "SGNET_MODEL_TIMEOUTS",
    flag: "model-timeouts",
    type: "text",
    default: "",
    form: {
      pattern: MODEL_TIMEOUTS,
      says: "like llama3:70b first-token=3600000, idle=600000; qwen3:8b total=60000, with queue, connect, first-token, idle or total and ms",
    },
    doc: "Timeouts of single models instead of those above, models separated by semicolons: llama3:70b first-token=3600000, idle=600000; qwen3:8b total=60000. The phases are queue, connect, first-token, idle and total, in ms.",
  },
};
