import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { findProgram } from "../config/environment.ts";
import type { Log } from "../telemetry/log.ts";
import { freePort } from "./free-port.ts";
import { acquireLock } from "./lock.ts";
import type { Lock } from "./lock.ts";
import { sendCommand, shutDown } from "./redis-probe.ts";

export interface RedisChildOptions {
  /** Folder for data and sockets. It is created if missing, with mode 700. One Redis at a time owns it. */
  readonly dir: string;
  /** TCP port of 127.0.0.1, 0 for a free one. Absent: only a unix socket. */
  readonly port?: number;
  /** False: nothing is written to disk. Absent: true. */
  readonly persistent?: boolean;
  readonly log?: Log;
}

/** A Redis server that runs as a child of this process. */
export interface RedisChild {
  /** redis://127.0.0.1:<port> with a TCP port, else unix://<path>. */
  readonly url: string;
  readonly pid: number;
  /** Resolves when the server has ended, with its last output lines. */
  readonly exited: Promise<string>;
  /** Stops the server after its last writes. Idempotent. */
  stop(): Promise<void>;
  /** Signals the server to stop, without waiting: for a process that must exit now. */
  kill(): void;
}

/** Names of the server program; the first one on PATH is used. */
export const REDIS_PROGRAMS = ["redis-server", "valkey-server"] as const;

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
const POLL_MS = 15;
const KEPT_OUTPUT_CHARS = 4000;

/**
 * Starts a private Redis and waits until it answers. Throws an Error with one sentence:
 * - no Redis is on PATH,
 * - another process owns the folder,
 * - the server does not start.
 */
export async function startRedis(options: RedisChildOptions): Promise<RedisChild> {
  const program = findProgram(REDIS_PROGRAMS);
  if (program === undefined)
    throw new Error(
      "There is no redis-server on PATH: install Redis 7 or later, or set REDIS_URL to one that runs.",
    );
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  chmodSync(options.dir, 0o700);
  const lock = await acquireLock(socketPath(options.dir, "owner.sock"));
  if (lock === undefined) throw new Error(`The folder ${options.dir} is in use by another sgnet that runs.`);
  try {
    return await startInOwnFolder(program, options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The unix socket of the Redis for this folder, running or not. */
export function redisSocket(dir: string): string {
  return socketPath(dir, "redis.sock");
}

async function startInOwnFolder(
  program: string,
  options: RedisChildOptions,
  lock: Lock,
): Promise<RedisChild> {
  const socket = redisSocket(options.dir);
  if (await shutDown(socket)) options.log?.warn("an orphaned redis was shut down", { dir: options.dir });
  const port = options.port === 0 ? await freePort("127.0.0.1") : (options.port ?? 0);
  const child = spawn(program, serverArguments(options, { socket, port }), {
    cwd: options.dir,
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own: Ctrl-C must reach the gateway and the worker first.
    detached: true,
  });
  const exited = watchExit(child, lock);
  const stop = (): Promise<void> => stopServer(child, exited);
  await whenReady(socket, exited, stop);
  options.log?.debug("redis runs", { pid: child.pid, dir: options.dir });
  const url = port === 0 ? `unix://${socket}` : `redis://127.0.0.1:${port}`;
  return { url, pid: child.pid ?? 0, exited, stop, kill: () => void child.kill("SIGTERM") };
}

/**
 * Arguments of the server. Small stream nodes save memory: a reply stream of one entry takes 1.1 KB instead of 4.7 KB.
 * A stream of 100 frames takes 15.8 instead of 12.5 KB (measured on 7.0.15). Reply streams of waiting tasks are empty
 * and take 0.4 KB in both cases.
 */
function serverArguments(options: RedisChildOptions, at: { socket: string; port: number }): string[] {
  const listen = `--port ${at.port} --bind 127.0.0.1 --unixsocketperm 700`;
  const memory = "--maxmemory-policy noeviction --stream-node-max-bytes 512";
  const persistence =
    options.persistent === false ? "--appendonly no" : "--appendonly yes --appendfsync everysec";
  const rest = `${listen} ${memory} ${persistence} --loglevel warning --daemonize no`;
  return ["--unixsocket", at.socket, "--dir", options.dir, "--save", "", ...rest.split(" ")];
}

/** Resolves with the last output when the process has ended or could not start. */
function watchExit(child: ChildProcess, lock: Lock): Promise<string> {
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-KEPT_OUTPUT_CHARS);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return new Promise((resolve) => {
    const end = (): void => {
      lock.release();
      resolve(output.trim());
    };
    child.once("error", (error) => {
      output += error.message;
      end();
    });
    child.once("close", end);
  });
}

/** Waits for PONG. A server that still loads its data answers with an error until then. */
async function whenReady(socket: string, exited: Promise<string>, stop: () => Promise<void>): Promise<void> {
  let last: string | undefined;
  void exited.then((output) => (last = output));
  const giveUp = performance.now() + READY_LIMIT_MS;
  while ((await sendCommand(socket, "PING")) !== "+PONG") {
    if (last !== undefined) throw new Error(`Redis ended while it started: ${lastLine(last)}`);
    if (performance.now() > giveUp) {
      await stop();
      throw new Error(`Redis did not answer within ${READY_LIMIT_MS / 1000} seconds.`);
    }
    await delay(POLL_MS);
  }
}

function lastLine(output: string): string {
  return output === "" ? "it wrote nothing." : output.slice(output.lastIndexOf("\n") + 1);
}

async function stopServer(child: ChildProcess, exited: Promise<string>): Promise<void> {
  child.kill("SIGTERM");
  const force = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
  await exited;
  clearTimeout(force);
}

/** Most bytes of a socket path. Systems allow 103 (macOS) to 107 (Linux). */
const MAX_SOCKET_PATH_BYTES = 100;

/**
 * The path of a unix socket for a folder, in the folder itself. A path that is too long is replaced by one in a private
 * temporary folder. The name of that folder depends only on `dir`.
 */
function socketPath(dir: string, name: string): string {
  const path = join(dir, name);
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  const { uid } = userInfo();
  const short = createHash("sha256").update(dir).digest("hex").slice(0, 12);
  const folder = join(tmpdir(), `sgnet-${uid}-${short}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid)
    throw new Error(`The folder ${folder} belongs to another user.`);
  chmodSync(folder, 0o700);
  return join(folder, name);
}
