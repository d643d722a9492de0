import type { Credentials } from "./access.ts";

/** A server by name or address, and TCP port. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** A parsed Redis URL. */
export type RedisUrl =
  | { readonly kind: "one"; readonly url: string }
  | {
      readonly kind: "sentinel";
      readonly tls: boolean;
      /** Addresses of sentinels. */
      readonly addresses: readonly RedisAddress[];
      /** Name of the master at the sentinels. */
      readonly master: string;
      readonly database: number;
      readonly login: Credentials;
      readonly sentinelLogin: Credentials;
    }
  | {
      readonly kind: "cluster";
      readonly tls: boolean;
      readonly addresses: readonly RedisAddress[];
      readonly login: Credentials;
    };

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

/** Matches a URL of several servers: `redis+cluster://`, `redis+sentinel://`, and with TLS `rediss+…`. */
const MANY =
  /^(?<scheme>rediss?)\+(?<kind>cluster|sentinel):\/\/(?<authority>[^/?#]+)(?:\/(?<path>[^?#]*))?(?:\?(?<query>[^#]*))?$/;

/**
 * Parses a Redis URL. `redis://`, `rediss://` and `unix://` name one server.
 * `redis+cluster://[user:password@]host:port,host:port` names some nodes of a Redis Cluster.
 * `redis+sentinel://[user:password@]host:port,host:port/master[/database][?username=…&password=…]` names sentinels.
 * The query has the sentinels' own user and password. Ports are 6379 and 26379 when absent.
 */
export function parseRedisUrl(url: string): RedisUrl {
  const parts = MANY.exec(url)?.groups;
  if (parts === undefined) return { kind: "one", url };
  const { scheme, kind, authority = "", path = "", query = "" } = parts;
  // A password may contain an @, a host does not.
  const at = authority.lastIndexOf("@");
  const hosts = authority.slice(at + 1);
  if (hosts === "") return { kind: "one", url };
  const tls = scheme === "rediss";
  const login = readLogin(authority.slice(0, Math.max(0, at)));
  if (kind === "cluster") return { kind, tls, addresses: readAddresses(hosts, REDIS_PORT), login };
  const [master = "", database = "0"] = path.split("/");
  return {
    kind: "sentinel",
    tls,
    addresses: readAddresses(hosts, SENTINEL_PORT),
    master: decoded(master),
    database: Number(database),
    login,
    sentinelLogin: readQuery(query),
  };
}

/** `host:port` of an address, brackets around IPv6. */
export function shownAddress({ host, port }: RedisAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function readAddresses(hosts: string, defaultPort: number): RedisAddress[] {
  return hosts.split(",").map((text) => {
    const [, host = "", port] = /^\[?([^\]]*?)\]?(?::(\d+))?$/.exec(text) ?? [];
    return { host, port: port === undefined ? defaultPort : Number(port) };
  });
}

function readLogin(login = ""): Credentials {
  const colon = login.indexOf(":");
  if (colon === -1) return credentials(login, "");
  return credentials(login.slice(0, colon), login.slice(colon + 1));
}

function readQuery(query: string): Credentials {
  const values = new Map(query.split("&").map((pair) => splitPair(pair)));
  return credentials(values.get("username") ?? "", values.get("password") ?? "");
}

function splitPair(pair: string): [string, string] {
  const equals = pair.indexOf("=");
  return equals === -1 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
}

function credentials(username: string, password: string): Credentials {
  return {
    ...(username === "" ? {} : { username: decoded(username) }),
    ...(password === "" ? {} : { password: decoded(password) }),
  };
}

/** Decodes percent codes. A text with an invalid code stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
