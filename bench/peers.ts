/** Other proxies and gateways, as far as they are installed: near-default settings, the same backends, the same load. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, writeFileSync } from "node:fs";
import path from "node:path";
import { PROFILES } from "./profiles.ts";

/** Where a peer listens and sends to. */
export interface PeerPlace {
  readonly port: number;
  /** For what it has besides: metrics. */
  readonly sparePort: number;
  readonly backendPorts: readonly number[];
  /** A folder of its own. */
  readonly folder: string;
}

/** Command line of one peer. */
export interface Peer {
  readonly name: string;
  /** Its program, looked for on PATH. */
  readonly program: string;
  /** Its arguments; writes its configuration first. */
  readonly args: (place: PeerPlace) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Answers 200 when it is ready. */
  readonly readyPath: string;
  /** Its flag that prints its version; `--version` when absent. */
  readonly versionFlag?: string;
}

export const PEERS: readonly Peer[] = [
  { name: "nginx", program: "nginx", args: nginxArgs, readyPath: "/api/version", versionFlag: "-v" },
  { name: "haproxy", program: "haproxy", args: haproxyArgs, readyPath: "/api/version", versionFlag: "-v" },
  {
    name: "litellm",
    program: "litellm",
    args: litellmArgs,
    env: {
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      LITELLM_LOG: "ERROR",
      LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: "true",
    },
    readyPath: "/health/liveliness",
  },
  { name: "sglang-router", program: "sglang-router", args: sglangArgs, readyPath: "/health" },
  { name: "vllm-router", program: "vllm-router", args: routerArgs, readyPath: "/health" },
];

/** The names of those that are on PATH. */
export function installedPeers(): readonly string[] {
  return PEERS.filter(({ program }) => findProgram(program) !== undefined).map(({ name }) => name);
}

/** Name and version of each of the ways that is a peer; a program that does not tell its version is named alone. */
export function peerVersions(legs: readonly string[]): readonly string[] {
  return PEERS.filter(({ name }) => legs.includes(name)).map(
    ({ name, program, env, versionFlag = "--version" }) => {
      const output = spawnSync(findProgram(program) ?? program, [versionFlag], {
        encoding: "utf8",
        env: { ...process.env, ...env },
      });
      // Whatever comes after its first line is help.
      const line = `${output.stdout}\n${output.stderr}`.split("\n").find((text) => text.trim() !== "") ?? "";
      const version = /\d+(?:\.\d+)+/.exec(line)?.[0];
      return version === undefined ? name : `${name} ${version}`;
    },
  );
}

/** The path of a program on PATH, or in the places where servers are; undefined when it is in none. */
export function findProgram(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(path.delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => path.join(folder, program)).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function write({ folder }: PeerPlace, name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

function urls({ backendPorts }: PeerPlace): readonly string[] {
  return backendPorts.map((port) => `http://127.0.0.1:${port}`);
}

/** Kept connections, and no buffering: without these it opens one connection per request and holds tokens back. */
function nginxArgs(place: PeerPlace): readonly string[] {
  const servers = place.backendPorts.map((port) => `server 127.0.0.1:${port};`).join(" ");
  const temps = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${place.folder}/${kind};`,
  );
  const user = process.getuid?.() === 0 ? "user root;" : "";
  const file = write(
    place,
    "nginx.conf",
    `daemon off; ${user} worker_processes auto; error_log stderr crit; pid ${place.folder}/nginx.pid;
events { worker_connections 16384; }
http {
  access_log off; ${temps.join(" ")}
  upstream backends { ${servers} keepalive 1024; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${place.port} backlog=8192; keepalive_requests 100000000;
    location / {
      proxy_pass http://backends; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 3600s;
    }
  }
}
`,
  );
  return ["-c", file, "-e", "stderr"];
}

function haproxyArgs(place: PeerPlace): readonly string[] {
  const servers = place.backendPorts.map((port, index) => `  server b${index} 127.0.0.1:${port}\n`).join("");
  const file = write(
    place,
    "haproxy.cfg",
    `global
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend front
  bind 127.0.0.1:${place.port} backlog 8192
  default_backend backends
backend backends
  balance roundrobin
  http-reuse always
${servers}`,
  );
  return ["-db", "-f", file];
}

function litellmArgs(place: PeerPlace): readonly string[] {
  const models = PROFILES.flatMap(({ model }) =>
    urls(place).map((url) => ({
      model_name: model,
      litellm_params: { model: `openai/${model}`, api_base: `${url}/v1`, api_key: "none" },
    })),
  );
  // JSON is YAML.
  const file = write(place, "litellm.yaml", JSON.stringify({ model_list: models }));
  return ["--config", file, "--host", "127.0.0.1", "--port", String(place.port), "--telemetry", "False"];
}

function routerArgs(place: PeerPlace): readonly string[] {
  const where = ["--host", "127.0.0.1", "--port", String(place.port)];
  const metrics = ["--prometheus-host", "127.0.0.1", "--prometheus-port", String(place.sparePort)];
  return ["--worker-urls", ...urls(place), "--policy", "round_robin", ...where, ...metrics];
}

function sglangArgs(place: PeerPlace): readonly string[] {
  return ["launch", ...routerArgs(place)];
}
