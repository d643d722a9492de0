/** The ways from the load to the backend that are compared, and the processes each one needs. */
import { mkdirSync } from "node:fs";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Child, Children } from "./children.ts";
import type { LoadDialect } from "./cases.ts";
import { PEERS, findProgram } from "./peers.ts";
import { PROFILES } from "./profiles.ts";
import { askRedis } from "./redis-wire.ts";

/**
 * `direct`: to the backend; `floor`: through a bare reverse proxy; `skeleton`: through a bare durable queue; `gateway`:
 * through gateway, Redis and worker; else the name of a peer.
 */
export type LegName = string;

export const LEG_NAMES: readonly LegName[] = ["direct", "floor", "skeleton", "gateway"];

/** One way, ready for load. */
export interface Leg {
  readonly name: LegName;
  readonly port: number;
  /** Processes of the system under test, by role; empty for the direct way. */
  readonly pids: Readonly<Record<string, number>>;
  /** Value of a variant that has one. */
  readonly redisPort?: number;
}

/** Options with which each leg is started. */
export interface LegContext {
  readonly children: Children;
  /** An empty folder for data; children run in it, so that no `.env` of the checkout applies. */
  readonly folder: string;
  readonly backendPorts: readonly number[];
  /** Tasks each backend gets at once from a way that keeps count. */
  readonly slots: number;
  /** Gateway processes on the one port, and workers of each backend. */
  readonly processes: number;
  readonly workers: number;
  /** By which API the worker asks the backend. */
  readonly backendDialect: LoadDialect;
}

/** Settings of the gateway and the worker that differ from the defaults; shown in the report. */
export function gatewaySettings(slots: number): Readonly<Record<string, string>> {
  return { SGNET_SLOTS: String(slots), SGNET_LOG_LEVEL: "warn" };
}

/** Settings of Redis that differ from the defaults; shown in the report. */
export const REDIS_SETTINGS: readonly string[] = ["--save", "", "--appendonly", "no"];

/** Starts one of the project's TypeScript files as a child. */
export function startScript(
  context: LegContext,
  role: string,
  script: readonly string[],
  env: NodeJS.ProcessEnv = cleanEnv(),
): Child {
  const [file = "", ...args] = script;
  const source = fileURLToPath(new URL(file, import.meta.url));
  return context.children.start({
    role,
    command: process.execPath,
    args: [source, ...args],
    cwd: context.folder,
    env,
  });
}

/** Starts a gateway or worker as a user would. */
export function startService(
  context: LegContext,
  role: string,
  command: "gateway" | "worker",
  settings: NodeJS.ProcessEnv,
): Child {
  const env = { ...cleanEnv(), ...settings };
  return startScript(context, role, ["../src/cli.ts", command], env);
}

/** Starts the processes of a way and waits until it answers. Throws when one does not start. */
export async function startLeg(name: LegName, context: LegContext): Promise<Leg> {
  if (name === "direct") return { name, port: context.backendPorts[0] ?? 0, pids: {} };
  if (name === "floor") return await startFloor(context);
  if (name === "skeleton") return await startSkeleton(context);
  if (name === "gateway") return await startGateway(context);
  return await startPeer(name, context);
}

async function startPeer(name: LegName, context: LegContext): Promise<Leg> {
  const peer = PEERS.find((its) => its.name === name);
  const command = peer === undefined ? undefined : findProgram(peer.program);
  if (peer === undefined || command === undefined) throw new Error(`${name} is not installed`);
  const port = await freePort();
  const folder = path.join(context.folder, `${name}-${port}`);
  mkdirSync(folder);
  const sparePort = await freePort();
  const args = peer.args({ port, sparePort, backendPorts: context.backendPorts, folder });
  const env = { ...cleanEnv(), ...peer.env };
  const child = context.children.start({ role: name, command, args, cwd: folder, env });
  await child.until(async () => (await fetchText(port, peer.readyPath)) !== undefined || undefined);
  return { name, port, pids: { [name]: child.pid } };
}

async function startFloor(context: LegContext): Promise<Leg> {
  const floor = startScript(context, "floor", ["floor.ts", context.backendPorts.join(), context.folder]);
  return { name: "floor", port: await floor.readyPort(), pids: { floor: floor.pid } };
}

async function startSkeleton(context: LegContext): Promise<Leg> {
  const redisPort = await freePort();
  const redis = await startRedis(context, redisPort);
  const [backendPort] = context.backendPorts;
  const half = (role: string, ...args: readonly string[]): Child =>
    startScript(context, `skeleton's ${role}`, ["skeleton.ts", role, String(redisPort), ...args]);
  const gateway = half("gateway", context.folder);
  const worker = half("worker", String(backendPort));
  await worker.readyPort();
  const pids = { gateway: gateway.pid, worker: worker.pid, redis: redis.pid };
  return { name: "skeleton", port: await gateway.readyPort(), pids };
}

async function startGateway(context: LegContext): Promise<Leg> {
  const redisPort = await freePort();
  const redis = await startRedis(context, redisPort);
  const settings = { ...gatewaySettings(context.slots), SGNET_PROCESSES: String(context.processes) };
  const env = { ...settings, REDIS_URL: `redis://127.0.0.1:${redisPort}` };
  const port = await freePort();
  const gateway = startService(context, "gateway", "gateway", { ...env, PORT: String(port) });
  const posts = context.backendPorts.flatMap((backendPort) =>
    Array<number>(context.workers).fill(backendPort),
  );
  const workers = posts.map((backendPort, index) =>
    startService(context, index === 0 ? "worker" : `worker ${index + 1}`, "worker", {
      ...env,
      SGNET_BACKENDS: `${context.backendDialect}+http://127.0.0.1:${backendPort}`,
    }),
  );
  await gateway.until(async () => (await fetchText(port, "/readyz")) !== undefined || undefined);
  for (const worker of workers) {
    await worker.until(async () => {
      if ((await askRedis(redisPort, "ZCARD", "sgnet:wks")) !== String(workers.length)) return undefined;
      return listsAllModels((await fetchText(port, "/api/tags")) ?? "") || undefined;
    });
  }
  const pids = Object.fromEntries([gateway, ...workers, redis].map((child) => [child.role, child.pid]));
  return { name: "gateway", port, pids, redisPort };
}

/** Starts a Redis that keeps nothing on disk, and waits until it listens. */
export async function startRedis(
  context: Pick<LegContext, "children" | "folder">,
  port: number,
): Promise<Child> {
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", context.folder, ...REDIS_SETTINGS];
  const redis = context.children.start({ role: "redis", command: "redis-server", args, cwd: context.folder });
  await redis.until(() => accepts(port));
  return redis;
}

/** The environment without what would configure the gateway, save for the folder of downloaded binaries. */
function cleanEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !configures(name)));
}

function configures(name: string): boolean {
  return /^(SGNET_|PORT$|HOST$|REDIS_URL$)/.test(name) && name !== "SGNET_CACHE_DIR";
}

function listsAllModels(tags: string): boolean {
  return PROFILES.every(({ model }) => tags.includes(`"${model}`));
}

/** The body of a 200 answer, undefined for any other outcome. */
export async function fetchText(port: number, where: string): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${where}`);
    const text = await response.text();
    return response.ok ? text : undefined;
  } catch {
    return undefined;
  }
}

async function accepts(port: number): Promise<true | undefined> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
