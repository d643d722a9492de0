/** Identifies clients by their keys: the rights of a key, and a digest that tells clients apart. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { keysOf } from "../../config/key-list.ts";
import { ANONYMOUS } from "../../core/access/principal.ts";
import type { KeyRole } from "../../core/access/key-record.ts";
import type { Principal } from "../../core/access/principal.ts";
import type { RequestHeaders } from "./http.ts";
import { isLoopback } from "./origin-policy.ts";

type Credentials = Pick<RequestHeaders, "authorization" | "apiKey">;

/** The keys that have records, as a gateway knows them. */
export interface RecordedKeys {
  readonly isEmpty: boolean;
  /** True from the first client key with a record on: requests without a key are refused. */
  readonly hasClients: boolean;
  /** The owner of a secret; undefined for an unknown, revoked or expired one. @param digest SHA-256 of the secret */
  find(digest: Buffer): Principal | undefined;
}

const NO_RECORDS: RecordedKeys = { isEmpty: true, hasClients: false, find: () => undefined };

/** The tenant of the keys of the environment. */
const ENVIRONMENT_TENANT = "env";

/**
 * Decides what a request may do by its key. Keys are kept and compared as SHA-256 digests, in constant time, and never
 * shown. A key comes as `Authorization: Bearer <key>` or as `x-api-key: <key>`.
 */
export class Keyring {
  readonly #isOpen: boolean;
  readonly #keys: readonly EnvironmentKey[];
  readonly #records: RecordedKeys;
  /** A request is asked about several times. */
  readonly #known = new WeakMap<Credentials, Principal>();

  /**
   * Both are comma lists of keys. Empty API keys make everyone a client. A list of commas and blanks admits no one.
   * Without admin keys no one is an admin.
   * @param records keys with records; none when absent
   */
  constructor(
    { apiKeys, adminKeys }: { readonly apiKeys: string; readonly adminKeys: string },
    records: RecordedKeys = NO_RECORDS,
  ) {
    this.#keys = [...environmentKeys(adminKeys, "admin"), ...environmentKeys(apiKeys, "client")];
    this.#isOpen = apiKeys === "";
    this.#records = records;
  }

  /** True when requests without a key are served. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#records.hasClients;
  }

  /** The rights of a request; undefined for a request without a valid key where one is needed. */
  identify(credentials: Credentials): Principal | undefined {
    const { isOpen } = this;
    // Without any key a request costs no digest.
    if (isOpen && this.#keys.length === 0 && this.#records.isEmpty) return ANONYMOUS;
    const known = this.#known.get(credentials);
    if (known !== undefined) return known;
    const found = this.#find(credentials) ?? (isOpen ? ANONYMOUS : undefined);
    if (found !== undefined && found !== ANONYMOUS) this.#known.set(credentials, found);
    return found;
  }

  /** Returns true for requests that may use the models, those of admins included. */
  isClient(credentials: Credentials): boolean {
    return this.identify(credentials) !== undefined;
  }

  /** Returns true for requests that may change the models of the fleet. */
  isAdmin(credentials: Credentials): boolean {
    return this.identify(credentials)?.role === "admin";
  }

  /** Returns true for requests that carry a key which no one has, perhaps beside a valid one. */
  hasWrongKey(credentials: Credentials): boolean {
    return keysGiven(credentials).some((key) => this.#ownersOf(digestOf(key)).length === 0);
  }

  /** Looks the keys up again: a key that was valid when a long request began may be revoked by now. */
  isStillValid(credentials: Credentials): boolean {
    return (this.#isOpen && !this.#records.hasClients) || this.#find(credentials) !== undefined;
  }

  /** A request with two valid keys has the rights of the one that may do more. The first counts when both are equal. */
  #find(credentials: Credentials): Principal | undefined {
    const owners = keysGiven(credentials).flatMap((key) => this.#ownersOf(digestOf(key)));
    return MOST_RIGHTS.map((role) => owners.find((owner) => owner.role === role)).find(isKnown);
  }

  /** Every key of the environment is compared, so that the time does not reveal which one was nearly right. */
  #ownersOf(digest: Buffer): readonly Principal[] {
    const own = this.#keys.filter((key) => timingSafeEqual(key.digest, digest));
    const recorded = this.#records.find(digest);
    return [...own.map(({ principal }) => principal), ...(recorded === undefined ? [] : [recorded])];
  }
}

/** Roles, the one that may do most first. */
const MOST_RIGHTS: readonly KeyRole[] = ["admin", "client", "observer"];

/** Returns the keys that a request carries, known or not. */
function keysGiven({ authorization, apiKey }: Credentials): string[] {
  return [bearerKey(authorization), apiKey].map((key) => key.trim()).filter((key) => key !== "");
}

function isKnown(principal: Principal | undefined): principal is Principal {
  return principal !== undefined;
}

/** A key of the environment. */
interface EnvironmentKey {
  readonly digest: Buffer;
  readonly principal: Principal;
}

/** Keys of the environment have no name: they are numbered in the order of their list. */
function environmentKeys(list: string, role: "client" | "admin"): EnvironmentKey[] {
  return keysOf(list).map((secret, index) => {
    const digest = digestOf(secret);
    const id = `${role === "admin" ? "env-admin" : "env"}-${index + 1}`;
    const record = {
      id,
      name: id,
      tenant: ENVIRONMENT_TENANT,
      digest: digest.toString("hex"),
      hint: "",
      role,
      models: ["*"],
      created: 0,
    };
    return { digest, principal: { role, key: record } };
  });
}

const SCHEME = "bearer";

/** Returns the key of an `Authorization` header, perhaps with blanks around it; empty for another scheme. */
function bearerKey(authorization: string): string {
  if (authorization.slice(0, SCHEME.length).toLowerCase() !== SCHEME) return "";
  const rest = authorization.slice(SCHEME.length);
  return /^\s/.test(rest) ? rest : "";
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** Digits of a digest: too few to reverse it, enough to tell clients apart (one in 16 million pairs is equal). */
const DIGEST_DIGITS = 6;

/** Most digests in memory: each takes 2 µs to make. */
const MOST_DIGESTS = 4096;

/** The parts of a request that identify its client. */
export interface ClientRequest {
  readonly headers: Credentials;
  /** The peer's address as text. */
  readonly remote: string;
}

/**
 * Tells clients apart, without a key or an address: a digest of six hex digits, the same at every gateway with the same
 * keys. A gateway with several keys digests the key. Another one digests the address: many clients may share one key.
 */
export class ClientDigests {
  readonly #keys: ReadonlySet<string>;
  readonly #known = new Map<string, string>();
  readonly #isLocal: boolean;

  /**
   * @param apiKeys a comma list, as of the setting
   * @param listen the address that the gateway listens on
   */
  constructor(apiKeys: string, listen: string) {
    this.#keys = new Set(keysOf(apiKeys));
    // Reading the address of a connection takes 5 µs. Every client of a loopback address is on this machine.
    this.#isLocal = isLoopback(listen);
  }

  /** Returns undefined when nothing is known of the client. */
  of(request: ClientRequest): string | undefined {
    const key =
      this.#keys.size > 1 ? keysGiven(request.headers).find((one) => this.#keys.has(one)) : undefined;
    if (key !== undefined) return this.#digest(`key ${key}`);
    const network = this.#isLocal ? "loopback" : networkOf(request.remote);
    return network === "" ? undefined : this.#digest(`address ${network}`);
  }

  #digest(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const digest = createHash("sha256").update(`sgnet client ${text}`).digest("hex").slice(0, DIGEST_DIGITS);
    if (this.#known.size >= MOST_DIGESTS) this.#known.clear();
    this.#known.set(text, digest);
    return digest;
  }
}

/** Returns an IPv4 address, or the 64-bit network of an IPv6 address: each stands for one household. Else empty. */
export function networkOf(remote: string): string {
  if (isIPv4(remote)) return remote;
  if (!isIPv6(remote)) return "";
  const groups = groupsOf(remote.toLowerCase());
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xff_ff;
  if (!isMapped)
    return `${groups
      .slice(0, 4)
      .map((group) => group.toString(16))
      .join(":")}::/64`;
  return groups
    .slice(6)
    .flatMap((group) => [group >> 8, group & 0xff])
    .join(".");
}

/** Returns the eight groups of an IPv6 address. */
function groupsOf(address: string): readonly number[] {
  const [text = ""] = address.split("%");
  const [head = "", tail] = text.split("::");
  const first = numbersOf(head);
  if (tail === undefined) return first;
  const last = numbersOf(tail);
  return [...first, ...Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0), ...last];
}

/** An IPv4 address at the end counts as two groups. */
function numbersOf(part: string): readonly number[] {
  if (part === "") return [];
  return part.split(":").flatMap((group) => {
    if (!isIPv4(group)) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}
