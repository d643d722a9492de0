import type { Setting } from "./setting.ts";

/** Where Redis is and how to get in. */
export interface RedisSettings {
  readonly redisUrl: string;
  readonly redisUsername: string;
  readonly redisPassword: string;
  readonly redisPasswordFile: string;
  readonly redisCaFile: string;
  readonly redisCertFile: string;
  readonly redisKeyFile: string;
  readonly redisServerName: string;
  readonly prefix: string;
}

export const REDIS_SETTINGS: { readonly [Name in keyof RedisSettings]: Setting } = {
  redisUrl: {
    env: "REDIS_URL",
    flag: "redis-url",
    type: "text",
    default: "",
    secret: true,
    form: {
      pattern: /^(?:rediss?(?:\+cluster)?:\/\/[^\s/]+|rediss?\+sentinel:\/\/[^\s/]+\/[^\s/?]+|unix:\/\/\/\S)/,
      says: "a URL that begins with redis://, rediss:// or unix:///, or one like redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/master",
    },
    doc: "Redis to use, redis://, rediss:// (TLS) or unix://; a Redis Cluster as redis+cluster://host:port,host:port, a master with Sentinel as redis+sentinel://host:port,host:port/master (rediss+… with TLS, see docs/redis.md); empty: `sgnet up` starts its own, other commands use that one while it runs, else redis://127.0.0.1:6379.",
  },
  redisUsername: {
    env: "SGNET_REDIS_USERNAME",
    flag: "redis-username",
    type: "text",
    default: "",
    doc: "User of Redis (ACL); empty: the one in REDIS_URL, else the default user.",
  },
  redisPassword: {
    env: "SGNET_REDIS_PASSWORD",
    flag: "redis-password",
    type: "text",
    default: "",
    secret: true,
    doc: "Password of Redis, for one that has no place in a URL; empty: the one in REDIS_URL, if any.",
  },
  redisPasswordFile: {
    env: "SGNET_REDIS_PASSWORD_FILE",
    flag: "redis-password-file",
    type: "text",
    default: "",
    doc: "File whose text is the password of Redis, read anew for each connection; wins over SGNET_REDIS_PASSWORD.",
  },
  redisCaFile: {
    env: "SGNET_REDIS_CA_FILE",
    flag: "redis-ca-file",
    type: "text",
    default: "",
    doc: "File with the certificates (PEM) of the authorities that Redis's certificate may be signed by, for rediss://; empty: those that Node trusts.",
  },
  redisCertFile: {
    env: "SGNET_REDIS_CERT_FILE",
    flag: "redis-cert-file",
    type: "text",
    default: "",
    doc: "File with the certificate (PEM) that is shown to a Redis that asks for one, for rediss://; needs SGNET_REDIS_KEY_FILE.",
  },
  redisKeyFile: {
    env: "SGNET_REDIS_KEY_FILE",
    flag: "redis-key-file",
    type: "text",
    default: "",
    doc: "File with the private key (PEM) of SGNET_REDIS_CERT_FILE.",
  },
  redisServerName: {
    env: "SGNET_REDIS_SERVER_NAME",
    flag: "redis-server-name",
    type: "text",
    default: "",
    form: { pattern: /^[\w.-]+$/, says: "a host name" },
    doc: "Name that Redis's certificate must have, for rediss://; empty: the host of REDIS_URL.",
  },
  prefix: {
    env: "SGNET_PREFIX",
    flag: "prefix",
    type: "text",
    default: "sgnet",
    form: { pattern: /^[\w.-]{1,64}$/, says: "1 to 64 letters, digits, dots, dashes or underscores" },
    doc: "First part of every Redis key; fleets with different prefixes do not see each other.",
  },
};
