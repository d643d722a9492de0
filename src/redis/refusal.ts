import { ErrorReply } from "@redis/client";
import { Fault } from "../core/fault.ts";

/** Words of Redis when it does not let a user in, or not as far as that, or nobody yet. */
const REFUSALS: Readonly<Record<string, string>> = {
  WRONGPASS: "it does not know this user with this password",
  NOAUTH: "it wants a password: set SGNET_REDIS_PASSWORD",
  NOPERM: "its user lacks a right: see docs/redis-setup.md",
  LOADING: "it is loading its data",
  "ERR AUTH": "it has no password, but one is set for it",
};

/** What TLS may end with that a setting can mend; the codes are OpenSSL's and Node's. */
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
 * Why a Redis that is there cannot be used, as the rest of a sentence about it, with the code in brackets; undefined
 * when it cannot be reached at all. Looks through the causes of an error.
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

function codeOf(error: Error): string {
  // What has no code of its own begins with ERR, and the command.
  if (error instanceof ErrorReply) return /^(?:ERR )?\S+/.exec(error.message)?.[0] ?? "";
  return "code" in error && typeof error.code === "string" ? error.code : "";
}
