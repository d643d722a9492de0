import { isIPv6 } from "node:net";

/** Ports that are left out of an origin. */
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ["http", "80"],
  ["https", "443"],
]);

/** Scheme, host (perhaps an address in brackets) and port; in a listed origin each may have a `*`. */
const ORIGIN = /^([^:/]+):\/\/(\[[^\]]*\]|[^:/]*)(?::([\d*]*))?\/?$/;

/**
 * An origin in the one form that browsers send: lower case, no default port, no slash or dot at its end, an IPv6 address
 * in its shortest form. What has not the form of an origin is only made lower case.
 */
export function plainOrigin(origin: string): string {
  const text = origin.trim().toLowerCase();
  const [, scheme = "", host = "", port = ""] = ORIGIN.exec(text) ?? [];
  if (host === "") return text;
  const name = plainName(host);
  const shown = isIPv6(name) ? `[${name}]` : name;
  const isDefault = port === "" || port === DEFAULT_PORTS.get(scheme);
  return `${scheme}://${shown}${isDefault ? "" : `:${port}`}`;
}

/**
 * The host of a listed origin, with its wildcards and without its port; undefined for what is no origin of the web. A
 * name server that points a page's name elsewhere leaves the port as it is: only the name tells.
 */
export function hostOf(origin: string): string | undefined {
  const [, scheme = "", host = ""] = ORIGIN.exec(origin.trim().toLowerCase()) ?? [];
  return host !== "" && DEFAULT_PORTS.has(scheme) ? plainName(host) : undefined;
}

/** A Host header without its port. */
export function nameOf(host: string): string {
  const text = host.trim().toLowerCase();
  const isBracketed = text.startsWith("[") && text.includes("]");
  return plainName(isBracketed ? text.slice(0, text.indexOf("]") + 1) : text.replace(/:\d*$/, ""));
}

/** A host of small letters without brackets and last dot. */
function plainName(host: string): string {
  const name = host.replace(/^\[(.*)\]$/, "$1").replace(/(?<=.)\.$/, "");
  return isIPv6(name) && !name.includes("%") ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;
}
