import { Fault } from "../core/fault.ts";
import type { HttpTarget } from "./http.ts";
import { HTTP_KINDS, isHttpKind, PROFILES, type HttpKind } from "./profiles.ts";

/** One entry of the list of backends. */
export interface Address extends HttpTarget {
  /** Undefined when it is to be probed. */
  readonly kind: HttpKind | undefined;
  /** Origin and prefix, without credentials: fit for logs. */
  readonly url: string;
}

const FORM = "write http://host:port, or with its kind as in ollama+http://host:port";

/**
 * Reads a comma list of backends: `http://host:port`, before it perhaps a kind and `+`, after it perhaps a path.
 * A `/v1` at the end of the path is left out, as every API path here begins with it. User-info is the API key
 * (`http://KEY@host`, `http://:KEY@host`), or a name and password for basic authentication. Throws
 * `invalid_request` with one sentence about the first bad entry, without its credentials.
 */
export function parseBackends(text: string): readonly Address[] {
  const addresses = text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map(parseEntry);
  const twice = addresses.find((address, at) => {
    return addresses.findIndex((other) => other.url === address.url) < at;
  });
  if (twice !== undefined) throw bad(`The backend ${twice.url} is listed twice.`);
  return addresses;
}

function parseEntry(entry: string): Address {
  const shown = entry.replace(/^(.*?:\/\/)?.*@/, "$1***@");
  const [, kind, address = ""] = /^(?:([a-z]+)\+)?(.*)$/is.exec(entry) ?? [];
  const known = kind?.toLowerCase();
  if (known !== undefined && !isHttpKind(known)) {
    throw bad(`The backend ${shown} has an unknown kind: it can be ${HTTP_KINDS.join(", ")}.`);
  }
  const url = URL.parse(address);
  if (url === null || !/^https?:\/\//i.test(address)) {
    throw bad(`The backend ${shown} is not a URL of HTTP: ${FORM}.`);
  }
  if (url.search !== "" || url.hash !== "") {
    throw bad(`The backend ${shown} has a query or a fragment: ${FORM}.`);
  }
  return addressOf(url, known, address);
}

function addressOf(url: URL, kind: HttpKind | undefined, text: string): Address {
  const authorization = authorizationOf(url);
  const port = kind === undefined ? undefined : PROFILES[kind].port;
  const explicit = /^https?:\/\/(?:[^/]*@)?[^/@]*:\d+(?:\/|$)/i.test(text);
  if (port !== undefined && url.protocol === "http:" && !explicit) url.port = String(port);
  const prefix = url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "").replace(/\/+$/, "");
  return { kind, origin: url.origin, prefix, authorization, url: url.origin + prefix };
}

function authorizationOf({ username, password }: URL): string | undefined {
  if (username === "" && password === "") return undefined;
  const name = decodeURIComponent(username);
  const secret = decodeURIComponent(password);
  if (name === "" || secret === "") return `Bearer ${name}${secret}`;
  return `Basic ${Buffer.from(`${name}:${secret}`).toString("base64")}`;
}

function bad(sentence: string): Fault {
  return new Fault("invalid_request", sentence);
}
