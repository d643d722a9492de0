import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RedisAccess } from "../../../src/redis/connection/access.ts";
import { withoutUser } from "../../../src/redis/connection/access.ts";
import { connect } from "../../../src/redis/connection/connect.ts";
import { loadFunctions } from "../../../src/redis/functions.ts";
import type { FleetRedis } from "./fleet-redis.ts";
import { DOCUMENTED_USERS, SHIPPED_USERS, withPasswords } from "./shipped-users.ts";
import { makeAuthority, makeCertificate } from "./certificates.ts";

/** Guards of the servers of a rig, and the test's own login. */
export interface Guard {
  /** Options of every server and sentinel. */
  readonly args: readonly string[];
  /** Options of every server. */
  readonly serverArgs: readonly string[];
  /** Lines of every sentinel's file, after those that name the master. */
  readonly sentinelLines: readonly string[];
  /** The test's `user:password` at servers and at sentinels; "" for nobody's. */
  readonly login: string;
  readonly sentinelLogin: string;
  /** With TLS, and with nothing else, when there are certificates. */
  readonly access: RedisAccess;
}

export const UNGUARDED: Guard = {
  args: [],
  serverArgs: [],
  sentinelLines: [],
  login: "",
  sentinelLogin: "",
  access: {},
};

/** Its scheme, and what precedes the hosts in a URL. */
export function schemeOf({ access }: Guard): "redis" | "rediss" {
  return access.tls === undefined ? "redis" : "rediss";
}

export function loginIn(login: string): string {
  return login === "" ? "" : `${login}@`;
}

const NAME = "redis.test";

/** Settings of a process that is to trust the authority of {@link withTls}. */
export interface TlsSettings {
  readonly SGNET_REDIS_CA_FILE: string;
  readonly SGNET_REDIS_CERT_FILE: string;
  readonly SGNET_REDIS_KEY_FILE: string;
  readonly SGNET_REDIS_SERVER_NAME: string;
}

/** Everything speaks TLS only, to those that have a certificate of its authority, and to each other. */
export function withTls(
  guard: Guard,
  dir: string,
): { readonly guard: Guard; readonly settings: TlsSettings } {
  mkdirSync(dir, { recursive: true });
  const authority = makeAuthority(dir, "authority");
  const { cert, key } = makeCertificate(dir, authority, { name: "redis", altName: `DNS:${NAME}` });
  const shown = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority.cert];
  const both = ["--tls-auth-clients", "yes", "--tls-replication", "yes"];
  const tls = { ca: textOf(authority.cert), cert: textOf(cert), key: textOf(key), servername: NAME };
  return {
    guard: { ...guard, args: [...guard.args, ...shown, ...both], access: { tls } },
    settings: {
      SGNET_REDIS_CA_FILE: authority.cert,
      SGNET_REDIS_CERT_FILE: cert,
      SGNET_REDIS_KEY_FILE: key,
      SGNET_REDIS_SERVER_NAME: NAME,
    },
  };
}

function textOf(path: string): string {
  return readFileSync(path, "utf8");
}

/** The users that are shipped, and those that the documents add for replicas and sentinels. */
export function withUsers(dir: string): Guard {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, "users.acl");
  writeFileSync(file, withPasswords(SHIPPED_USERS + DOCUMENTED_USERS.servers));
  const replication = ["--masteruser", "replica", "--masterauth", "secret-replica"];
  return {
    ...UNGUARDED,
    serverArgs: ["--aclfile", file, "--acllog-max-len", "1000", ...replication],
    sentinelLines: [
      "sentinel auth-user mymaster sentinel",
      "sentinel auth-pass mymaster secret-sentinel",
      "user default off",
      "user peer on >secret-peer allchannels +@all",
      ...withPasswords(DOCUMENTED_USERS.sentinels).trim().split("\n"),
      "sentinel sentinel-user peer",
      "sentinel sentinel-pass secret-peer",
    ],
    login: "sgnet-admin:secret-sgnet-admin",
    sentinelLogin: "peer:secret-peer",
  };
}

/** Servers under the users of {@link withUsers}, each process of the fleet under its own, at the sentinels too. */
export async function fleetUnder(rig: FleetRedis, guard: Guard, settings: object = {}): Promise<FleetRedis> {
  const admin = await connect(rig.url, "test", guard.access);
  await loadFunctions(admin);
  admin.close();
  const sentinelLogin = "?username=sgnet&password=secret-sgnet";
  const bare = withoutUser(rig.url);
  const urlOf = (user: string): string => {
    const url = bare.replace("://", `://${user}:secret-${user}@`);
    return guard.sentinelLines.length > 0 && url.includes("+sentinel:") ? url + sentinelLogin : url;
  };
  return {
    url: rig.url,
    access: guard.access,
    settingsOf: (command) => ({ ...settings, REDIS_URL: urlOf(`sgnet-${command}`) }),
    kill: async () => rig.kill(),
    startAgain: async (options) => rig.startAgain(options),
    stop: async () => rig.stop(),
  };
}
