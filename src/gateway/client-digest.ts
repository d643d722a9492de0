import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import type { RequestHeaders } from "./http.ts";
import { keysOf } from "../config/key-list.ts";
import { keysGiven } from "./keyring.ts";
import { isLoopback } from "./origin.ts";

/** Digits of a digest: too few to turn it back, enough to tell clients apart (two are one in 16 million pairs). */
const DIGITS = 6;

/** Digests that are remembered: each costs 2 us to make. */
const MOST = 4096;

/** Parts of a request that tell of its client. */
export interface Asker {
  readonly headers: Pick<RequestHeaders, "authorization" | "apiKey">;
  /** The peer's address as text. */
  readonly remote: string;
}

/**
 * Tells clients apart, without a key or an address: a digest of six hex digits, the same at every gateway with the same
 * keys. Where the gateway has several keys it is that of the key, else that of the address: one key may serve a whole
 * house.
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
    // To ask for the address of a connection takes 5 us: all who reach a loopback address are on this machine.
    this.#isLocal = isLoopback(listen);
  }

  /** Undefined when nothing is known of the client. */
  of(asker: Asker): string | undefined {
    const key = this.#keys.size > 1 ? keysGiven(asker.headers).find((one) => this.#keys.has(one)) : undefined;
    if (key !== undefined) return this.#digest(`key ${key}`);
    const network = this.#isLocal ? "loopback" : networkOf(asker.remote);
    return network === "" ? undefined : this.#digest(`address ${network}`);
  }

  #digest(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const digest = createHash("sha256").update(`sgnet client ${text}`).digest("hex").slice(0, DIGITS);
    if (this.#known.size >= MOST) this.#known.clear();
    this.#known.set(text, digest);
    return digest;
  }
}

/** One household has one IPv4 address, or one network of 64 bits in IPv6. Empty for what is no address. */
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

/** The eight groups of an IPv6 address. */
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
