import { BlockList, isIP, isIPv6 } from "node:net";

/**
 * Decides which web pages may use this gateway from a browser, and under which host names. The rules are Ollama's
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

/** Returns whether an origin, in lower case, is one of the allowed ones. */
type OriginTest = (origin: string) => boolean;

/** Names that no public name server gives out. */
const LOCAL_NAME = /(?:^|\.)localhost$|\.(?:local|internal)$/;

export interface OriginOptions {
  /** Comma list of further origins; `*` in one stands for any text without a slash, `*` alone for every origin. */
  readonly origins: string;
  /** Address or name that the gateway listens on. The Host header is checked only when it is a loopback one. */
  readonly listen: string;
  /** Names and addresses of this machine. */
  readonly own: readonly string[];
}

/** Checks the Origin and Host headers of requests. */
export class OriginPolicy {
  readonly #allowed: readonly OriginTest[];
  /** Tests for the hosts of listed origins. */
  readonly #hosts: readonly OriginTest[];
  readonly #checksHosts: boolean;
  readonly #own: ReadonlySet<string>;

  constructor({ origins, listen, own }: OriginOptions) {
    const listed = origins
      .split(",")
      .map((origin) => plainOrigin(origin))
      .filter((origin) => origin !== "");
    const hosts = listed.includes("*") ? ["*"] : listed.flatMap((origin) => hostOf(origin) ?? []);
    this.#hosts = hosts.map(originTest);
    this.#allowed = listed.includes("*") ? [() => true] : [...LOCAL_ORIGINS, ...listed].map(originTest);
    this.#checksHosts = isLoopback(listen);
    this.#own = new Set(own.map((name) => name.toLowerCase()));
  }

  /** Returns false for the origin of a page that may not use this gateway. A sandboxed page sends `null`. */
  allowsOrigin(origin: string): boolean {
    const plain = plainOrigin(origin);
    return this.#allowed.some((matches) => matches(plain));
  }

  /**
   * Returns false for a Host header of a foreign name that points at this machine (DNS rebinding).
   * The host of a listed origin is allowed with any port: proxies pass on Host with the port of the page, with another,
   * or without one.
   */
  allowsHost(host: string): boolean {
    if (!this.#checksHosts) return true;
    const name = nameOf(host);
    if (name === "" || LOCAL_NAME.test(name) || this.#own.has(name) || isLocalAddress(name)) return true;
    return this.#hosts.some((matches) => matches(name));
  }
}

/** Returns true when the page comes from this very server, so that the request does not cross origins. */
export function isSameOrigin(origin: string, host: string): boolean {
  if (origin === `http://${host}` || origin === `https://${host}`) return true;
  const plain = plainOrigin(origin);
  return plain === plainOrigin(`http://${host}`) || plain === plainOrigin(`https://${host}`);
}

const LOOPBACK = subnets(["127.0.0.0/8", "::1/128"]);

/** Loopback, private and unspecified addresses: no name server can give a page such an address for a host. */
const LOCAL_NETWORKS = subnets([
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

function isLocalAddress(name: string): boolean {
  return isIn(LOCAL_NETWORKS, name);
}

/** Returns true for an address or name that only this machine reaches. */
export function isLoopback(listen: string): boolean {
  return listen.toLowerCase() === "localhost" || isIn(LOOPBACK, listen);
}

function isIn(list: BlockList, name: string): boolean {
  const family = isIP(name);
  return family !== 0 && list.check(name, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Returns the test for one listed origin: `*` in it stands for any text without a slash. Slashes of an origin stand
 * before its first `*`. The test therefore searches the pieces between two `*` once, from left to right. An expression
 * with as many `[^/]*` could take exponential time.
 */
function originTest(listed: string): OriginTest {
  const [head = "", ...pieces] = listed.split("*");
  const tail = pieces.pop();
  if (tail === undefined) return (origin) => origin === listed;
  return (origin) => {
    const rest = origin.slice(head.length);
    if (!origin.startsWith(head) || rest.includes("/") || !rest.endsWith(tail)) return false;
    let at = 0;
    for (const piece of pieces) {
      const found = rest.indexOf(piece, at);
      if (found === -1) return false;
      at = found + piece.length;
    }
    return at + tail.length <= rest.length;
  };
}

/** Ports that an origin leaves out. */
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ["http", "80"],
  ["https", "443"],
]);

/** Scheme, host (perhaps an address in brackets) and port; each may have a `*` in a listed origin. */
const ORIGIN = /^([^:/]+):\/\/(\[[^\]]*\]|[^:/]*)(?::([\d*]*))?\/?$/;

/**
 * Returns an origin in the form that browsers send: lower case, without default port, last slash or last dot. An IPv6
 * address gets its shortest form. A text that is no origin only becomes lower case.
 */
function plainOrigin(origin: string): string {
  const text = origin.trim().toLowerCase();
  const [, scheme = "", host = "", port = ""] = ORIGIN.exec(text) ?? [];
  if (host === "") return text;
  const name = plainName(host);
  const shown = isIPv6(name) ? `[${name}]` : name;
  const isDefault = port === "" || port === DEFAULT_PORTS.get(scheme);
  return `${scheme}://${shown}${isDefault ? "" : `:${port}`}`;
}

/**
 * Returns the host of a listed origin, with its wildcards and without its port; undefined when it is no web origin. A
 * name server that points a page's name elsewhere leaves the port as it is: only the name matters.
 */
function hostOf(origin: string): string | undefined {
  const [, scheme = "", host = ""] = ORIGIN.exec(origin.trim().toLowerCase()) ?? [];
  return host !== "" && DEFAULT_PORTS.has(scheme) ? plainName(host) : undefined;
}

/** Returns a Host header without its port. */
function nameOf(host: string): string {
  const text = host.trim().toLowerCase();
  const isBracketed = text.startsWith("[") && text.includes("]");
  return plainName(isBracketed ? text.slice(0, text.indexOf("]") + 1) : text.replace(/:\d*$/, ""));
}

/** Returns a host in lower case without brackets and last dot. */
function plainName(host: string): string {
  const name = host.replace(/^\[(.*)\]$/, "$1").replace(/(?<=.)\.$/, "");
  return isIPv6(name) && !name.includes("%") ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;
}
