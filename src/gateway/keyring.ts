import { createHash, timingSafeEqual } from "node:crypto";
import { keysOf } from "../config/key-list.ts";
import type { RequestHeaders } from "./http.ts";

type Credentials = Pick<RequestHeaders, "authorization" | "apiKey">;

/**
 * Who may do what. Keys are kept and compared as SHA-256 digests, in constant time, and never shown. A key comes as
 * `Authorization: Bearer <key>` or as `x-api-key: <key>`.
 */
export class Keyring {
  readonly #isOpen: boolean;
  readonly #clients: readonly Buffer[];
  readonly #admins: readonly Buffer[];

  /**
   * Both are comma lists of keys. Empty API keys make everyone a client; a list that names none admits no one;
   * without admin keys no one is an admin.
   */
  constructor(options: { readonly apiKeys: string; readonly adminKeys: string }) {
    this.#admins = digests(options.adminKeys);
    this.#isOpen = options.apiKeys === "";
    this.#clients = digests(options.apiKeys);
  }

  /** True for requests that may use the models; an admin's may. */
  isClient(credentials: Credentials): boolean {
    return this.#isOpen || holds([...this.#clients, ...this.#admins], credentials);
  }

  /** True for requests that may change the models of the fleet. */
  isAdmin(credentials: Credentials): boolean {
    return holds(this.#admins, credentials);
  }
}

/** The keys that a request comes with, whether they are known or not. */
export function keysGiven({ authorization, apiKey }: Credentials): string[] {
  return [bearerKey(authorization), apiKey].map((key) => key.trim()).filter((key) => key !== "");
}

function digests(list: string): Buffer[] {
  return keysOf(list).map(digestOf);
}

function holds(known: readonly Buffer[], credentials: Credentials): boolean {
  const given = keysGiven(credentials).map(digestOf);
  // Every pair is compared: the time tells nothing about which key was nearly right.
  const equal = given.flatMap((digest) => known.map((key) => timingSafeEqual(key, digest)));
  return equal.includes(true);
}

const SCHEME = "bearer";

/** The key of an `Authorization` header, perhaps with blanks around it; empty when it is of another scheme. */
function bearerKey(authorization: string): string {
  if (authorization.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return "";
  const rest = authorization.slice(SCHEME.length);
  return /^\s/.test(rest) ? rest : "";
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
