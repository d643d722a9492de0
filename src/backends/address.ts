import { Fault } from "../core/fault.ts";
import { ABILITY_NAMES } from "../core/ability.ts";
import { trimEnd } from "../core/trim-end.ts";
import type { HttpTarget } from "./http.ts";
import { HTTP_KINDS, isHttpKind, PROFILES, type HttpKind } from "./profiles.ts";

/** One entry of the list of backends. */
export interface BackendAddress extends HttpTarget {
  /** Kind of the server; undefined: it is probed. */
  readonly kind: HttpKind | undefined;
  /** Origin and prefix without credentials, for logs. */
  readonly url: string;
  /** Abilities written behind `#endpoints=`; absent: they are probed. */
  readonly endpoints?: readonly string[];
}

const FORM = "write http://host:port, or add the kind as in ollama+http://host:port";

/**
 * Parses a comma list of backends. An entry is `http://host:port`, optionally with a kind and `+` before it and a path
 * behind it. A `/v1` at the end of the path is dropped, as every API path begins with it.
 *
 * `#endpoints=rerank+score` at the end names the endpoints beyond chat and embeddings; `#endpoints=none` means none.
 * User-info is the API key (`http://KEY@host`, `http://:KEY@host`), or a name and password for basic authentication.
 *
 * Throws `invalid_request` with one sentence about the first bad entry, without its credentials.
 */
export function parseBackends(text: string): readonly BackendAddress[] {
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

function parseEntry(entry: string): BackendAddress {
  const shown = entry.replace(/^(.*?:\/\/)?.*@/, "$1***@");
  const [, kind, address = ""] = /^(?:([a-z]+)\+)?(.*)$/is.exec(entry) ?? [];
  const known = kind?.toLowerCase();
  if (known !== undefined && !isHttpKind(known)) {
    throw bad(`The backend ${shown} has an unknown kind: it can be ${HTTP_KINDS.join(", ")}.`);
  }
  const url = URL.parse(address);
  if (url === null || !/^https?:\/\//i.test(address)) {
    throw bad(`The backend ${shown} is not a URL of an HTTP server: ${FORM}.`);
  }
  if (url.search !== "" || (url.hash !== "" && !url.hash.startsWith(DECLARES))) {
    throw bad(`The backend ${shown} has a query or a fragment: ${FORM}.`);
  }
  const endpoints = endpointsIn(url.hash, shown);
  const authorization = authorizationOf(url);
  if (authorization === null) {
    throw bad(`The backend ${shown} has a key that is not URL-encoded ASCII text.`);
  }
  const location = { ...locationOf(url, known, address), kind: known, authorization };
  return endpoints === undefined ? location : { ...location, endpoints };
}

const DECLARES = "#endpoints=";

/** The declared endpoints; undefined where none are declared. */
function endpointsIn(hash: string, shown: string): readonly string[] | undefined {
  if (hash === "") return undefined;
  const names = hash.slice(DECLARES.length).toLowerCase().split("+");
  if (names.length === 1 && names[0] === "none") return [];
  const unknown = names.find((name) => !ABILITY_NAMES.includes(name));
  if (unknown === undefined) return [...new Set(names)];
  const list = ABILITY_NAMES.join(", ");
  throw bad(
    `The backend ${shown} has an unknown endpoint "${unknown}": write ${DECLARES}none, or with + between these: ${list}.`,
  );
}

/** @param text the URL as written, since a parsed URL drops port 80 */
function locationOf(
  url: URL,
  kind: HttpKind | undefined,
  text: string,
): Pick<BackendAddress, "origin" | "prefix" | "url"> {
  const port = kind === undefined ? undefined : PROFILES[kind].port;
  const explicit = /^https?:\/\/(?:[^/]*@)?[^/@]*:\d+(?:\/|$)/i.test(text);
  if (port !== undefined && url.protocol === "http:" && !explicit) url.port = String(port);
  const path = trimEnd(url.pathname, "/");
  const prefix = trimEnd(path.replace(/\/v1$/, ""), "/");
  return { origin: url.origin, prefix, url: url.origin + prefix };
}

/** Null when the user-info cannot be sent in a header. */
function authorizationOf({ username, password }: URL): string | undefined | null {
  if (username === "" && password === "") return undefined;
  const name = decoded(username);
  const secret = decoded(password);
  if (!/^[\x20-\x7e]*$/.test(name + secret)) return null;
  if (name === "" || secret === "") return `Bearer ${name}${secret}`;
  return `Basic ${Buffer.from(`${name}:${secret}`).toString("base64")}`;
}

/** The decoded text. Bad URL encoding becomes a line break, which no header accepts. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "\n";
  }
}

function bad(sentence: string): Fault {
  return new Fault("invalid_request", sentence);
}
