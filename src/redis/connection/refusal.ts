import { Fault } from "../../core/fault.ts";
import { replyErrorCode, replyErrorIn, replyText } from "./reply-error.ts";

/** Problem and remedy of a Redis that refuses, by the code of its reply. */
const REFUSALS: Readonly<Record<string, string>> = {
  WRONGPASS: "it does not know this user with this password: look at SGNET_REDIS_USERNAME and the password",
  NOAUTH: "it wants a password: set SGNET_REDIS_PASSWORD",
  NOPERM: "its user lacks a right: see docs/redis-setup.md",
  LOADING: "it is loading its data: wait until it has",
  OOM: "its memory is full (maxmemory): give it more",
  MISCONF: "it cannot write its disk and takes no writes: look at its log, is the disk full?",
  READONLY: "it is a replica, which takes no writes: set REDIS_URL to its master",
  MASTERDOWN: "it is a replica that has lost its master: set REDIS_URL to a master",
  CLUSTERDOWN: "a part of the Redis Cluster has no master: look at redis-cli cluster info",
  TRYAGAIN: "the Redis Cluster moves the keys just now: try again",
  BUSY: "it runs a script that does not end: look at redis-cli script kill",
  NOREPLICAS: "too few of its replicas are there (min-replicas-to-write): start them",
  WRONGTYPE: "a key of the fleet has another type: is it of another program? Set another SGNET_PREFIX",
  UNBLOCKED: "it became a replica: set REDIS_URL to the master",
  DENIED: "it lets only its own machine in (protected-mode): give it users or a password",
  "ERR AUTH": "it has no password, but one is set for it",
  "ERR max": "it has as many clients as it takes: raise maxclients",
};

/** Failures of TLS that a setting can mend, by the codes of OpenSSL and Node. */
const TLS_FAULTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is of an authority that is not in SGNET_REDIS_CA_FILE",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is of an authority that is not in SGNET_REDIS_CA_FILE",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is of an authority that is not in SGNET_REDIS_CA_FILE",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is of an authority that is not in SGNET_REDIS_CA_FILE",
  CERT_SIGNATURE_FAILURE: "its certificate is of an authority that is not in SGNET_REDIS_CA_FILE",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host: see SGNET_REDIS_SERVER_NAME",
  ERR_SSL_WRONG_VERSION_NUMBER: "it speaks no TLS there: is rediss:// right, and the port?",
  ERR_SSL_PACKET_LENGTH_TOO_LONG: "it speaks no TLS there: is rediss:// right, and the port?",
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "it wants a certificate: set SGNET_REDIS_CERT_FILE",
};

/**
 * The reason that a reachable Redis cannot be used: the rest of a sentence about it, with the code in brackets.
 * Undefined when it cannot be reached at all. Searches the causes of an error.
 */
export function refusalOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return error.errors.map(refusalOf).find((text) => text !== undefined);
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  const known = REFUSALS[code] ?? TLS_FAULTS[code];
  if (known !== undefined) return `${known} (${code})`;
  if (code.startsWith("ERR_SSL_")) return `TLS failed (${code})`;
  if (error instanceof Fault && error.code === "internal") return error.message;
  return refusalOf(error.cause);
}

/** Matches replies without a code of their own: ERR, and a word that distinguishes them. */
const REPLY_CODE = /^ERR (?:AUTH|max)\b/;

/** The stable code of {@link refusalOf}, from a reply of Redis or from TLS; undefined for any other error. */
export function refusalCode(error: unknown): string | undefined {
  if (error instanceof AggregateError)
    return error.errors.map(refusalCode).find((code) => code !== undefined);
  if (!(error instanceof Error)) return undefined;
  const code = codeOf(error);
  if (Object.hasOwn(REFUSALS, code) || Object.hasOwn(TLS_FAULTS, code) || code.startsWith("ERR_SSL_"))
    return code;
  return replyErrorIn(error)?.reply ?? refusalCode(error.cause);
}

function codeOf(error: Error): string {
  const text = replyText(error);
  if (text !== "") return REPLY_CODE.exec(text)?.[0] ?? replyErrorCode(error);
  return "code" in error && typeof error.code === "string" ? error.code : "";
}
