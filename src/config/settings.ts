/**
 * The one table of settings. Command line flags, environment variables, `.env.example`, `--help` and
 * docs/settings.md all derive from it.
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
    doc: "TCP port of the gateway; 0 takes a free one.",
  },
  host: {
    env: "HOST",
    flag: "host",
    type: "text",
    default: "127.0.0.1",
    form: { pattern: /^[\w.:%-]+$/, says: "a host name or an IP address" },
    doc: "Address the gateway listens on; 0.0.0.0 serves the whole network.",
  },
  processes: {
    env: "SGNET_PROCESSES",
    flag: "processes",
    type: "text",
    default: "1",
    form: { pattern: /^(?:auto|[1-9]\d{0,2})$/, says: "auto or a number from 1 to 999" },
    doc: "Gateway processes that share the port (Linux); auto: one per processor, with `sgnet up` one per two.",
  },
  ...REDIS_SETTINGS,
  backends: {
    env: "SGNET_BACKENDS",
    flag: "backends",
    type: "text",
    default: "",
    secret: true,
    doc: "LLM servers of this worker, a comma list of URLs; the kind is probed, or given as ollama+http://… or openai+http://…; endpoints beyond chat and embeddings are found, or given behind the address as #endpoints=rerank+speech; empty: look on this machine.",
  },
  slots: {
    env: "SGNET_SLOTS",
    flag: "slots",
    type: "number",
    default: 0,
    min: 0,
    max: 100_000,
    unit: "tasks",
    doc: "Tasks a backend runs at once; 0 asks the backend, else takes its kind's default.",
  },
  ...PLACEMENT_SETTINGS,
  embeddedModel: {
    env: "SGNET_EMBEDDED_MODEL",
    flag: "embedded-model",
    type: "text",
    default: "",
    doc: "GGUF file of the embedded model; empty: SmolLM2-135M-Instruct, fetched once. `off` disables the embedded model.",
  },
  embeddedSlots: {
    env: "SGNET_EMBEDDED_SLOTS",
    flag: "embedded-slots",
    type: "number",
    default: 2,
    min: 1,
    max: 64,
    unit: "tasks",
    doc: "Tasks the embedded model answers at once.",
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
    doc: "Folder for what is fetched or unpacked once: the embedded model with its library, the HTTP binary, compiled code; empty: stargazer below the user's cache folder.",
  },
  leaseMs: {
    env: "SGNET_LEASE_MS",
    flag: "lease-ms",
    type: "number",
    default: 10_000,
    min: 300,
    max: 600_000,
    unit: "ms",
    doc: "Silence after which a worker counts as dead and its tasks go to others; the same on all workers.",
  },
  deliveryLimit: {
    env: "SGNET_DELIVERY_LIMIT",
    flag: "delivery-limit",
    type: "number",
    default: 3,
    min: 1,
    max: 100,
    doc: "How often a task may be handed to a worker before it is given up as a dead letter.",
  },
  busyLimit: {
    env: "SGNET_BUSY_LIMIT",
    flag: "busy-limit",
    type: "number",
    default: 10,
    min: 1,
    max: 1000,
    doc: "How often a task may be run when backends answer that they are busy (429, 503), before its client is told so.",
  },
  circuitFailures: {
    env: "SGNET_CIRCUIT_FAILURES",
    flag: "circuit-failures",
    type: "number",
    default: 5,
    min: 1,
    max: 1000,
    doc: "Failures in a row (unreachable, 5xx, broken off) after which a backend gets no more tasks of a model for a while; those of one client count when the worker's own request fails, too.",
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
    doc: "How long a stopping process lets running tasks finish.",
  },
  drainGraceMs: {
    env: "SGNET_DRAIN_GRACE_MS",
    flag: "drain-grace-ms",
    type: "number",
    default: 250,
    min: 0,
    max: 600_000,
    unit: "ms",
    doc: "How long a stopping gateway still takes requests while /readyz already says no: longer than your load balancer's pause between two looks, so that no client is refused.",
  },
  readyOutageMs: {
    env: "SGNET_READY_OUTAGE_MS",
    flag: "ready-outage-ms",
    type: "number",
    default: 60_000,
    min: 0,
    max: 86_400_000,
    unit: "ms",
    doc: "How long /readyz still says yes while Redis is away: clients get the gateway's own 503 with Retry-After meanwhile, not one of the load balancer; 0: not at all.",
  },
  startupMs: {
    env: "SGNET_STARTUP_MS",
    flag: "startup-ms",
    type: "number",
    default: 300_000,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    doc: "How long a worker that starts counts as getting ready while some backend of it has not answered yet: a model that no worker offers gets 503 with Retry-After meanwhile, not 404.",
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
    doc: "How long requests for a model are still queued after its last worker left; later they get 404.",
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
    doc: "Web pages that may use the gateway besides those of this machine, a comma list; * within an origin stands for any text, * alone allows all. Their host names may also be used to call a gateway that listens on loopback only.",
  },
  apiKeys: {
    env: "SGNET_API_KEY",
    flag: "api-key",
    type: "text",
    default: "",
    secret: true,
    keys: true,
    doc: "Keys of clients, a comma list; each request then needs one as Authorization: Bearer or x-api-key, except for probes (/health, /v1/health, /ping, /healthz, /readyz, /metrics, /metrics/fleet), /version, /openapi.json and the files of the live page. Empty: everyone is served.",
  },
  adminKeys: {
    env: "SGNET_ADMIN_KEY",
    flag: "admin-key",
    type: "text",
    default: "",
    secret: true,
    keys: true,
    doc: "Keys of admins, a comma list: they may also pull, push, create, copy and delete models, drain workers, and run dead letters again or remove them; empty: no client may.",
  },
  heartbeatMs: {
    env: "SGNET_HEARTBEAT_MS",
    flag: "heartbeat-ms",
    type: "number",
    default: 15_000,
    min: 0,
    max: 3_600_000,
    unit: "ms",
    doc: "Silence after which a waiting event stream is told that its request is alive, in steps of half a second; 0 never.",
  },
  ndjsonHeartbeat: {
    env: "SGNET_NDJSON_HEARTBEAT",
    flag: "ndjson-heartbeat",
    type: "flag",
    default: false,
    doc: "Whether streams of Ollama's API get heartbeats too, as objects with empty text.",
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
    doc: "Form of log lines; auto: pretty on a terminal, JSON otherwise.",
  },
  ...TRACING_SETTINGS,
};
