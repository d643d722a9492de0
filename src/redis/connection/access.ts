import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { RedisSettings } from "../../config/redis-settings.ts";
import { Fault } from "../../core/fault.ts";
import { trimEnd } from "../../core/trim-end.ts";

/** Certificates, user and password for a Redis. */
export interface RedisAccess {
  /** Read at each (re)connect: a password may change while the process runs. Absent: as in the URL. */
  readonly credentials?: () => Promise<Credentials>;
  /** For rediss:// only. */
  readonly tls?: TlsAccess;
}

export interface Credentials {
  readonly username?: string;
  readonly password?: string;
}

export interface TlsAccess {
  /** PEM. Absent: the authorities that Node trusts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Absent: the host of the connection. */
  readonly servername?: string;
}

/**
 * Reads the access from the settings. Certificates are read now, the password file at each connection.
 * @throws Fault `internal` with a sentence when a file cannot be read or the settings contradict each other
 */
export function accessOf(settings: RedisSettings): RedisAccess {
  const { redisUsername, redisPassword, redisPasswordFile } = settings;
  const tls = tlsOf(settings);
  const access: { -readonly [Key in keyof RedisAccess]: RedisAccess[Key] } = {};
  if (tls !== undefined) access.tls = tls;
  if (redisUsername !== "" || redisPassword !== "" || redisPasswordFile !== "") {
    access.credentials = async () => credentialsOf(settings);
  }
  return access;
}

/** Adds the user and password of a URL to an access that has none. */
export function withLogin(access: RedisAccess, login: Credentials): RedisAccess {
  if (access.credentials !== undefined || Object.keys(login).length === 0) return access;
  return { ...access, credentials: async () => Promise.resolve(login) };
}

async function credentialsOf(settings: RedisSettings): Promise<Credentials> {
  const inUrl = loginOf(settings.redisUrl);
  const username = settings.redisUsername === "" ? inUrl.username : settings.redisUsername;
  const password = (await passwordOf(settings)) ?? inUrl.password;
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}

async function passwordOf({ redisPassword, redisPasswordFile }: RedisSettings): Promise<string | undefined> {
  if (redisPasswordFile === "") return redisPassword === "" ? undefined : redisPassword;
  try {
    const text = await readFile(redisPasswordFile, "utf8");
    return trimEnd(text, "\r\n");
  } catch (error) {
    throw unreadable("SGNET_REDIS_PASSWORD_FILE", error);
  }
}

function tlsOf(settings: RedisSettings): TlsAccess | undefined {
  const { redisCaFile, redisCertFile, redisKeyFile, redisServerName } = settings;
  if ([redisCaFile, redisCertFile, redisKeyFile, redisServerName].every((text) => text === "")) return;
  if (!settings.redisUrl.startsWith("rediss")) {
    throw new Fault(
      "internal",
      "Certificates are set for Redis, but REDIS_URL does not begin with rediss://.",
    );
  }
  if ((redisCertFile === "") !== (redisKeyFile === "")) {
    throw new Fault("internal", "SGNET_REDIS_CERT_FILE and SGNET_REDIS_KEY_FILE need each other.");
  }
  return {
    ...pem("ca", "SGNET_REDIS_CA_FILE", redisCaFile),
    ...pem("cert", "SGNET_REDIS_CERT_FILE", redisCertFile),
    ...pem("key", "SGNET_REDIS_KEY_FILE", redisKeyFile),
    ...(redisServerName === "" ? {} : { servername: redisServerName }),
  };
}

function pem(name: "ca" | "cert" | "key", setting: string, path: string): TlsAccess {
  if (path === "") return {};
  try {
    return { [name]: readFileSync(path, "utf8") };
  } catch (error) {
    throw unreadable(setting, error);
  }
}

function unreadable(setting: string, cause: unknown): Fault {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Fault("internal", `${setting} cannot be read (${reason}).`, { cause });
}

const USER_IN_URL = /^([\w+]+:\/\/)(?:([^:@/]*)(?::([^@/]*))?@)/;

function loginOf(url: string): Credentials {
  const [, , username = "", password = ""] = USER_IN_URL.exec(url) ?? [];
  return {
    ...(username === "" ? {} : { username: decodeURIComponent(username) }),
    ...(password === "" ? {} : { password: decodeURIComponent(password) }),
  };
}

/** A Redis URL without users and passwords, which can be shown. */
export function withoutUser(url: string): string {
  const bare = url.replace(/^([\w+]+:\/\/)[^/]*@/, "$1");
  const [scheme = ""] = bare.split("://", 1);
  return scheme.includes("+") ? (bare.split("?", 1)[0] ?? "") : bare;
}
