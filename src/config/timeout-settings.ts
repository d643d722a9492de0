import { MODEL_TIMEOUTS } from "../core/timeouts.ts";
import type { Setting } from "./setting.ts";

/** Time limits of a request, in total and per phase. */
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
    doc: "Time limit of a request, waiting and answer together.",
  },
  queueTimeoutMs: {
    env: "SGNET_QUEUE_TIMEOUT_MS",
    flag: "queue-timeout-ms",
    type: "number",
    default: 0,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "Longest wait for a worker before a request gets 503. 0: no limit but that of the request.",
  },
  connectTimeoutMs: {
    env: "SGNET_CONNECT_TIMEOUT_MS",
    flag: "connect-timeout-ms",
    type: "number",
    default: 5000,
    min: 100,
    max: 60_000,
    unit: "ms",
    doc: "Longest time to open a connection to a backend. The shorter of the gateway's and the worker's setting counts.",
  },
  firstTokenTimeoutMs: {
    env: "SGNET_FIRST_TOKEN_TIMEOUT_MS",
    flag: "first-token-timeout-ms",
    type: "number",
    default: 1_800_000,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "Longest time until the first token of a streamed answer, including the load of the model. 0: no limit but that of the request.",
  },
  idleTimeoutMs: {
    env: "SGNET_IDLE_TIMEOUT_MS",
    flag: "idle-timeout-ms",
    type: "number",
    default: 300_000,
    min: 0,
    max: 604_800_000,
    unit: "ms",
    doc: "Longest pause of a backend within a streamed answer. 0: no limit but that of the request.",
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
    doc: "Timeouts of single models, which replace the ones above. Semicolons separate models: llama3:70b first-token=3600000, idle=600000; qwen3:8b total=60000. The phases are queue, connect, first-token, idle and total, in ms.",
  },
};
