import type { Setting } from "./setting.ts";

/** Address and credentials of Redis. */
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
    doc: "URL of Redis: redis://, rediss:// (TLS) or unix://. A Redis Cluster is redis+cluster://host:port,host:port, a master with Sentinel redis+sentinel://host:port,host:port/master (with TLS rediss+…, see docs/redis.md). Empty: `sgnet up` starts a Redis of its own. Other commands use that one while it runs, else redis://127.0.0.1:6379.",
  },
  redisUsername: {
    env: "SGNET_REDIS_USERNAME",
    flag: "redis-username",
    type: "text",
    default: "",
    doc: "Redis user (ACL). Empty: the one in REDIS_URL, else the default user.",
  },
  redisPassword: {
    env: "SGNET_REDIS_PASSWORD",
    flag: "redis-password",
    type: "text",
    default: "",
    secret: true,
    doc: "Redis password, for passwords that should not stand in a URL. Empty: the one in REDIS_URL, if any.",
  },
  redisPasswordFile: {
    env: "SGNET_REDIS_PASSWORD_FILE",
    flag: "redis-password-file",
    type: "text",
    default: "",
    doc: "File with the Redis password. It is read for each connection and wins over SGNET_REDIS_PASSWORD.",
  },
  redisCaFile: {
    env: "SGNET_REDIS_CA_FILE",
    flag: "redis-ca-file",
    type: "text",
    default: "",
    doc: "File with the CA certificates (PEM) for rediss://. Empty: the CAs that Node trusts.",
  },
  redisCertFile: {
    env: "SGNET_REDIS_CERT_FILE",
    flag: "redis-cert-file",
    type: "text",
    default: "",
    doc: "File with the client certificate (PEM) for rediss://, if Redis requires one. It needs SGNET_REDIS_KEY_FILE.",
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
    doc: "Host name that Redis's certificate must have, for rediss://. Empty: the host of REDIS_URL.",
  },
  prefix: {
    env: "SGNET_PREFIX",
    flag: "prefix",
    type: "text",
    default: "sgnet",
    form: { pattern: /^[\w.-]{1,64}$/, says: "1 to 64 letters, digits, dots, dashes or underscores" },
    doc: "First part of every Redis key. Fleets with different prefixes do not see each other.",
  },
};
