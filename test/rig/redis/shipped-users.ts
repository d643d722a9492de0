import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FleetRedis } from "./fleet-redis.ts";
import { connect } from "../../../src/redis/connection/connect.ts";
import { loadFunctions } from "../../../src/redis/functions.ts";
import { RedisServer } from "./redis-server.ts";

const FILE = join(import.meta.dirname, "../../../docs/redis-users.acl");

/** The users that are shipped, as an operator gets them. Without a password no login works. */
export const SHIPPED_USERS: string = readFileSync(FILE, "utf8");

const SETUP = readFileSync(join(import.meta.dirname, "../../../docs/redis-setup.md"), "utf8");

/** Users that the documents tell to add: to the servers, and to the sentinels. */
export const DOCUMENTED_USERS: Readonly<Record<"servers" | "sentinels", string>> = {
  servers: documented(/^user (?:replica|sentinel) .+$/gm),
  sentinels: documented(/^user sgnet .+$/gm),
};

function documented(lines: RegExp): string {
  return Array.from(SETUP.matchAll(lines), ([line]) => `${line}\n`).join("");
}

/** Users, each with the password `secret-<user>`. */
export function withPasswords(users: string): string {
  return users.replaceAll(/^user (?!default)(\S+) on/gm, "$& >secret-$1");
}

/** Writes the shipped users, each with the password `secret-<user>`. The folder is created when absent. Returns the path. */
export function writeUsers(dir: string): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "users.acl");
  writeFileSync(path, withPasswords(SHIPPED_USERS));
  return path;
}

/** URL of a Redis on this machine for one of the users. */
export function urlFor(user: string, port: number): string {
  return `redis://${user}:secret-${user}@127.0.0.1:${port}`;
}

/** A Redis with the shipped users, each process of the fleet under its own. */
export async function guardedRedis(dir: string, program?: string): Promise<FleetRedis> {
  const server = await RedisServer.start({
    dir,
    ...(program === undefined ? {} : { program }),
    args: ["--appendonly", "yes", "--acllog-max-len", "1000", "--aclfile", writeUsers(dir)],
  });
  const admin = await connect(urlFor("sgnet-admin", server.port), "test");
  await loadFunctions(admin);
  admin.close();
  return {
    url: urlFor("sgnet-admin", server.port),
    settingsOf: (command) => ({ REDIS_URL: urlFor(`sgnet-${command}`, server.port) }),
    kill: async () => server.kill(),
    startAgain: async (options) => server.startAgain(options),
    stop: async () => server.stop(),
  };
}
