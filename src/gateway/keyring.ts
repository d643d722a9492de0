import { createHash, timingSafeEqual } from "node:crypto";
import type { RequestHeaders } from "./http.ts";

type Credentials = Pick<RequestHeaders, "authorization" | "apiKey">;

/**
 * Who may do what. Keys are kept and compared as SHA-256 digests, in constant time, and never shown. A key comes as
 * `Authorization: Bearer <key>` or as `x-api-key: <key>`.
 */
export class Keyring {
  readonly #clients: readonly Buffer[];
  readonly #admins: readonly Buffer[];

  /** Both are comma lists of keys. Without API keys everyone is a client; without admin keys no one is an admin. */
  constructor(options: { readonly apiKeys: string; readonly adminKeys: string }) {
    this.#admins = digests(options.adminKeys);
    this.#clients = digests(options.apiKeys);
  }

  /** True for requests that may use the models; an admin's may. */
  isClient(credentials: Credentials): boolean {
    return this.#clients.length === 0 || holds([...this.#clients, ...this.#admins], credentials);
  }

  /** True for requests that may change the models of the fleet. */
  isAdmin(credentials: Credentials): boolean {
    return holds(this.#admins, credentials);
  }
}

/** The keys in a comma list. */
export function keysIn(list: string): string[] {
  return list
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "");
}

/** The keys that a request comes with, whether they are known or not. */
export function keysGiven({ authorization, apiKey }: Credentials): string[] {
  const bearer = /^bearer\s+(.*)$/i.exec(authorization)?.[1] ?? "";
  return [bearer, apiKey].filter((key) => key !== "").map((key) => key.trim());
}

function digests(list: string): Buffer[] {
  return keysIn(list).map(digestOf);
}

function holds(known: readonly Buffer[], credentials: Credentials): boolean {
  const given = keysGiven(credentials).map(digestOf);
  // Every pair is compared: the time tells nothing about which key was nearly right.
  const equal = given.flatMap((digest) => known.map((key) => timingSafeEqual(key, digest)));
  return equal.includes(true);
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
