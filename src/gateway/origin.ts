import { BlockList, isIP } from "node:net";
import { hostOf, nameOf, plainOrigin } from "./origin-name.ts";
import { originTest } from "./origin-pattern.ts";
import type { OriginTest } from "./origin-pattern.ts";

/**
 * Which web pages may use this gateway from a browser, and by which names it may be called. The rules are Ollama's
 * (API.md, section 10): pages of this machine and of desktop apps always may, others when they are listed.
 */

const LOCAL_HOSTS = ["localhost", "127.0.0.1", "0.0.0.0"];
const APP_SCHEMES = ["app", "file", "tauri", "vscode-webview", "vscode-file"];

const LOCAL_ORIGINS: readonly string[] = [
  ...LOCAL_HOSTS.flatMap((host) =>
    ["http", "https"].flatMap((scheme) => [`${scheme}://${host}`, `${scheme}://${host}:*`]),
  ),
  ...APP_SCHEMES.map((scheme) => `${scheme}://*`),
];

/** Names that no public name server gives out. */
const LOCAL_NAME = /(?:^|\.)localhost$|\.(?:local|internal)$/;

export interface OriginOptions {
  /** Comma list of further origins; `*` in one stands for any text without a slash, `*` alone for every origin. */
  readonly origins: string;
  /** Address or name the gateway listens on: the Host header is judged only where that is a loopback one. */
  readonly listen: string;
  /** Names and addresses of this machine. */
  readonly own: readonly string[];
}

/** Judges the Origin and Host headers of requests. */
export class OriginPolicy {
  readonly #allowed: readonly OriginTest[];
  /** Of the hosts of listed origins. */
  readonly #hosts: readonly OriginTest[];
  readonly #judgesHosts: boolean;
  readonly #own: ReadonlySet<string>;

  constructor({ origins, listen, own }: OriginOptions) {
    const listed = origins
      .split(",")
      .map((origin) => plainOrigin(origin))
      .filter((origin) => origin !== "");
    const hosts = listed.includes("*") ? ["*"] : listed.flatMap((origin) => hostOf(origin) ?? []);
    this.#hosts = hosts.map(originTest);
    this.#allowed = listed.includes("*") ? [() => true] : [...LOCAL_ORIGINS, ...listed].map(originTest);
    this.#judgesHosts = isLoopback(listen);
    this.#own = new Set(own.map((name) => name.toLowerCase()));
  }

  /** False for the origin of a page that may not use this gateway; `null`, as sandboxed pages send it, is one. */
  allowsOrigin(origin: string): boolean {
    const asked = plainOrigin(origin);
    return this.#allowed.some((isMeant) => isMeant(asked));
  }

  /**
   * False for a Host header that a page could have pointed at this machine by its own name server (DNS rebinding).
   * The host of a listed origin is allowed, whatever the port: proxies pass on Host with the port of the page, with
   * another, or without one.
   */
  allowsHost(host: string): boolean {
    if (!this.#judgesHosts) return true;
    const name = nameOf(host);
    if (name === "" || LOCAL_NAME.test(name) || this.#own.has(name) || isNearAddress(name)) return true;
    return this.#hosts.some((isMeant) => isMeant(name));
  }
}

/** True when the page comes from this very server: not a request across origins. */
export function isSameOrigin(origin: string, host: string): boolean {
  if (origin === `http://${host}` || origin === `https://${host}`) return true;
  const asked = plainOrigin(origin);
  return asked === plainOrigin(`http://${host}`) || asked === plainOrigin(`https://${host}`);
}

const LOOPBACK = subnets(["127.0.0.0/8", "::1/128"]);

/** Loopback, private and unspecified addresses: a name server cannot make a page of another host out of them. */
const NEAR = subnets([
  "127.0.0.0/8",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "0.0.0.0/32",
  "::1/128",
  "::/128",
  "fc00::/7",
]);

function subnets(list: readonly string[]): BlockList {
  const found = new BlockList();
  for (const entry of list) {
    const [address = "", bits] = entry.split("/");
    found.addSubnet(address, Number(bits), isIP(address) === 6 ? "ipv6" : "ipv4");
  }
  return found;
}

function isNearAddress(name: string): boolean {
  return isIn(NEAR, name);
}

/** True for an address or name that only this machine reaches. */
export function isLoopback(listen: string): boolean {
  return listen.toLowerCase() === "localhost" || isIn(LOOPBACK, listen);
}

function isIn(list: BlockList, name: string): boolean {
  const family = isIP(name);
  return family !== 0 && list.check(name, family === 6 ? "ipv6" : "ipv4");
}
