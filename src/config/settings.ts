/**
 * The table of all settings. Command line flags, environment variables, `.env.example`, `--help` and docs/settings.md
 * derive from it.
 */

import { LIMIT_SETTINGS } from "./limit-settings.ts";
import type { LimitSettings } from "./limit-settings.ts";
import { PLACEMENT_SETTINGS } from "./placement-settings.ts";
import type { PlacementSettings } from "./placement-settings.ts";
import { REDIS_SETTINGS } from "./redis-settings.ts";
import type { RedisSettings } from "./redis-settings.ts";
import type { Setting } from "./setting.ts";
import { TIMEOUT_SETTINGS } from "./timeout-settings.ts";
import type { TimeoutSettings } from "./timeout-settings.ts";
import { TRACING_SETTINGS } from "./tracing-settings.ts";
import type { TracingSettings } from "./tracing-settings.ts";

/** All settings of all commands, typed. */
export interface Settings
  extends LimitSettings, PlacementSettings, RedisSettings, TimeoutSettings, TracingSettings {
  readonly port: number;
  readonly host: string;
  readonly processes: string;
  readonly backends: string;
  readonly slots: number;
  readonly embeddedModel: string;
  readonly embeddedSlots: number;
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly leaseMs: number;
  readonly deliveryLimit: number;
  readonly busyLimit: number;
  readonly circuitFailures: number;
  readonly drainMs: number;
  readonly drainGraceMs: number;
  readonly readyOutageMs: number;
  readonly startupMs: number;
  readonly modelMemoryMs: number;
  readonly origins: string;
  readonly apiKeys: string;
  readonly adminKeys: string;
  readonly heartbeatMs: number;
  readonly ndjsonHeartbeat: boolean;
  readonly logLevel: "error" | "warn" | "info" | "debug";
  readonly logFormat: "auto" | "json" | "pretty";
}

export const SETTINGS: { readonly [Name in keyof Settings]: Setting } = {
  port: {
    env: "PORT",
    flag: "port",
    type: "number",
    default: 3000,
    min: 0,
    max: 65535,
    doc: "TCP port of the gateway. 0: any free port.",
  },
  host: {
    env: "HOST",
    flag: "host",
    type: "text",
    default: "127.0.0.1",
    form: { pattern: /^[\w.:%-]+$/, says: "a host name or an IP address" },
    doc: "Address on which the gateway listens. 0.0.0.0: all networks.",
  },
  processes: {
    env: "SGNET_PROCESSES",
    flag: "processes",
    type: "text",
    default: "1",
    form: { pattern: /^(?:auto|[1-9]\d{0,2})$/, says: "auto or a number from 1 to 999" },
    doc: "Gateway processes that share the port (Linux only). auto: one per CPU core; with `sgnet up` one per two cores.",
  },
  ...REDIS_SETTINGS,
  backends: {
    env: "SGNET_BACKENDS",
    flag: "backends",
    type: "text",
    default: "",
    secret: true,
    list: true,
    doc: "LLM servers of this worker: a comma list of URLs. The kind is probed unless given, as in ollama+http://… or openai+http://…. Endpoints beyond chat and embeddings are probed unless given behind the URL, as in #endpoints=rerank+speech. Empty: the servers that run on this machine.",
  },
  slots: {
    env: "SGNET_SLOTS",
    flag: "slots",
    type: "number",
    default: 0,
    min: 0,
    max: 100_000,
    unit: "tasks",
    doc: "Tasks that a backend runs at once. 0: as the backend reports, else the default of its kind.",
  },
  ...PLACEMENT_SETTINGS,
  embeddedModel: {
    env: "SGNET_EMBEDDED_MODEL",
    flag: "embedded-model",
    type: "text",
    default: "",
    doc: "GGUF file of the embedded model. Empty: SmolLM2-135M-Instruct, downloaded once. off: no embedded model.",
  },
  embeddedSlots: {
    env: "SGNET_EMBEDDED_SLOTS",
    flag: "embedded-slots",
    type: "number",
    default: 2,
    min: 1,
    max: 64,
    unit: "tasks",
    doc: "Tasks that the embedded model runs at once.",
  },
  stateDir: {
    env: "SGNET_STATE_DIR",
    flag: "state-dir",
    type: "text",
    default: ".sgnet",
    doc: "Folder for the data of the Redis that `sgnet up` starts.",
  },
  cacheDir: {
    env: "SGNET_CACHE_DIR",
    flag: "cache-dir",
    type: "text",
    default: "",
    doc: "Folder for downloads and other files that are made once: the embedded model with its library, the HTTP binary, compiled code. Empty: the folder stargazer in the user's cache folder.",
  },
  leaseMs: {
    env: "SGNET_LEASE_MS",
    flag: "lease-ms",
    type: "number",
    default: 10_000,
    min: 300,
    max: 600_000,
    unit: "ms",
    doc: "Silence after which a worker counts as dead and its tasks go to other workers. Set it to the same value on all workers.",
  },
  deliveryLimit: {
    env: "SGNET_DELIVERY_LIMIT",
    flag: "delivery-limit",
    type: "number",
    default: 3,
    min: 1,
    max: 100,
    doc: "Most deliveries of a task to workers before it becomes a dead letter.",
  },
  busyLimit: {
    env: "SGNET_BUSY_LIMIT",
    flag: "busy-limit",
    type: "number",
    default: 10,
    min: 1,
    max: 1000,
    doc: "Most attempts of a task that busy backends refuse (429, 503), before its client gets that answer.",
  },
  circuitFailures: {
    env: "SGNET_CIRCUIT_FAILURES",
    flag: "circuit-failures",
    type: "number",
    default: 5,
    min: 1,
    max: 1000,
    doc: "Failures in a row (unreachable, 5xx, broken off) that open the circuit breaker: the backend gets no tasks of the model for a while. Failures of a single client count only when the worker's own probe fails, too.",
  },
  ...TIMEOUT_SETTINGS,
  drainMs: {
    env: "SGNET_DRAIN_MS",
    flag: "drain-ms",
    type: "number",
    default: 30_000,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    doc: "Time that a stopping process gives running tasks to finish.",
  },
  drainGraceMs: {
    env: "SGNET_DRAIN_GRACE_MS",
    flag: "drain-grace-ms",
    type: "number",
    default: 250,
    min: 0,
    max: 600_000,
    unit: "ms",
    doc: "Time that a stopping gateway still accepts requests after /readyz returns 503. Set it above your load balancer's check interval, so that no client is refused.",
  },
  readyOutageMs: {
    env: "SGNET_READY_OUTAGE_MS",
    flag: "ready-outage-ms",
    type: "number",
    default: 60_000,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "Time that /readyz still returns 200 while Redis is down. Meanwhile clients get the gateway's own 503 with Retry-After instead of the load balancer's error. 0: /readyz returns 503 at once.",
  },
  startupMs: {
    env: "SGNET_STARTUP_MS",
    flag: "startup-ms",
    type: "number",
    default: 300_000,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    doc: "Longest time that a worker counts as starting while one of its backends has not answered yet. Meanwhile an unknown model gets 503 with Retry-After instead of 404.",
  },
  ...LIMIT_SETTINGS,
  modelMemoryMs: {
    env: "SGNET_MODEL_MEMORY_MS",
    flag: "model-memory-ms",
    type: "number",
    default: 600_000,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "Time that requests for a model are still queued after its last worker is gone. Later ones get 404.",
  },
  origins: {
    env: "SGNET_ORIGINS",
    flag: "origins",
    type: "text",
    default: "",
    form: {
      pattern: /^(?:\*|[a-z][\w+.-]*:\/\/[^\s,/]*)(?:\s*,\s*(?:\*|[a-z][\w+.-]*:\/\/[^\s,/]*))*$/i,
      says: "* or a comma list of origins like https://app.example.com, without a path",
    },
    doc: "Web origins that may use the gateway, besides those of this machine: a comma list. * within an origin stands for any text, * alone allows all. Their host names are also accepted in requests to a gateway that listens on loopback only.",
  },
  apiKeys: {
    env: "SGNET_API_KEY",
    flag: "api-key",
    type: "text",
    default: "",
    secret: true,
    list: true,
    keys: true,
    doc: "Client keys: a comma list. Each request needs one as Authorization: Bearer or x-api-key. Exempt are the probes (/health, /v1/health, /ping, /healthz, /readyz, /metrics, /metrics/fleet), /version, /openapi.json and the files of the live page. Empty: no key is needed.",
  },
  adminKeys: {
    env: "SGNET_ADMIN_KEY",
    flag: "admin-key",
    type: "text",
    default: "",
    secret: true,
    list: true,
    keys: true,
    doc: "Admin keys: a comma list. Admins may also pull, push, create, copy and delete models, drain workers, and retry or remove dead letters. Empty: no client may do so.",
  },
  heartbeatMs: {
    env: "SGNET_HEARTBEAT_MS",
    flag: "heartbeat-ms",
    type: "number",
    default: 15_000,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    doc: "Silence after which a waiting event stream gets a heartbeat, in steps of half a second. 0: never.",
  },
  ndjsonHeartbeat: {
    env: "SGNET_NDJSON_HEARTBEAT",
    flag: "ndjson-heartbeat",
    type: "flag",
    default: false,
    doc: "Heartbeats also for streams of Ollama's API, as objects with empty text.",
  },
  logLevel: {
    env: "SGNET_LOG_LEVEL",
    flag: "log-level",
    type: "text",
    default: "info",
    choices: ["error", "warn", "info", "debug"],
    doc: "Least important level that is logged.",
  },
  logFormat: {
    env: "SGNET_LOG_FORMAT",
    flag: "log-format",
    type: "text",
    default: "auto",
    choices: ["auto", "json", "pretty"],
    doc: "Format of log lines. auto: pretty on a terminal, JSON otherwise.",
  },
  ...TRACING_SETTINGS,
};
