import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { findProgram } from "../config/environment.ts";
import type { Log } from "../telemetry/log.ts";
import { freePort } from "./free-port.ts";
import { acquireLock } from "./lock.ts";
import type { Lock } from "./lock.ts";
import { ask, shutDown } from "./redis-probe.ts";
import { socketPath } from "./socket-path.ts";

export interface RedisChildOptions {
  /** Folder of its data and sockets: created when absent, its mode set to 700. One Redis at a time owns it. */
  readonly dir: string;
  /** Listen on this TCP port of 127.0.0.1 too, 0: a free one. Absent: only on a unix socket. */
  readonly port?: number;
  /** False: nothing is written to disk. True when absent. */
  readonly persistent?: boolean;
  readonly log?: Log;
}

/** A Redis server that runs as a child of this process. */
export interface RedisChild {
  /** redis://127.0.0.1:<port> when a port was asked for, else unix://<path>. */
  readonly url: string;
  readonly pid: number;
  /** Resolves when the server is gone, with the last lines it wrote. */
  readonly exited: Promise<string>;
  /** Lets the server write what it has to and ends it. Idempotent. */
  stop(): Promise<void>;
  /** Asks the server to end and does not wait for it: for a process that must exit now. */
  kill(): void;
}

/** The first of these on PATH is started. */
export const REDIS_PROGRAMS = ["redis-server", "valkey-server"] as const;

const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;
const POLL_MS = 15;
const KEPT_OUTPUT_CHARS = 4000;

/**
 * Starts a private Redis and waits until it answers.
 * Throws an Error with one sentence when there is no Redis on PATH, another process owns the folder, or the
 * server does not start.
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

/** The unix socket of the Redis that owns this folder, whether it runs or not. */
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
    // Its own process group: Ctrl-C must reach the gateway and the worker first.
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
 * Small stream nodes: a reply stream of one entry takes 1.1 KB instead of the 4.7 KB of a full-sized node; 100 frames
 * take 15.8 instead of 12.5 KB (measured on 7.0.15). Those of tasks that wait are empty and take 0.4 KB either way.
 */
function serverArguments(options: RedisChildOptions, at: { socket: string; port: number }): string[] {
  const listen = `--port ${at.port} --bind 127.0.0.1 --unixsocketperm 700`;
  const memory = "--maxmemory-policy noeviction --stream-node-max-bytes 512";
  const persistence =
    options.persistent === false ? "--appendonly no" : "--appendonly yes --appendfsync everysec";
  const rest = `${listen} ${memory} ${persistence} --loglevel warning --daemonize no`;
  return ["--unixsocket", at.socket, "--dir", options.dir, "--save", "", ...rest.split(" ")];
}

/** Resolves with the last output when the process has ended or could not be started. */
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

/** A server that still loads its data answers, but not PONG: that is waited for, too. */
async function whenReady(socket: string, exited: Promise<string>, stop: () => Promise<void>): Promise<void> {
  let last: string | undefined;
  void exited.then((output) => (last = output));
  const giveUp = performance.now() + READY_LIMIT_MS;
  while ((await ask(socket, "PING")) !== "+PONG") {
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
