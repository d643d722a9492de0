import { Fault } from "../core/fault.ts";
import { ABILITY_NAMES } from "../core/ability.ts";
import { withoutTrailing } from "../core/trailing.ts";
import type { HttpTarget } from "./http.ts";
import { HTTP_KINDS, isHttpKind, PROFILES, type HttpKind } from "./profiles.ts";

/** One entry of the list of backends. */
export interface Address extends HttpTarget {
  /** Undefined when it is to be probed. */
  readonly kind: HttpKind | undefined;
  /** Origin and prefix, without credentials: fit for logs. */
  readonly url: string;
  /** Abilities that it has, as written behind `#endpoints=`; absent: they are found out. */
  readonly endpoints?: readonly string[];
}

const FORM = "write http://host:port, or with its kind as in ollama+http://host:port";

/**
 * Reads a comma list of backends: `http://host:port`, before it perhaps a kind and `+`, after it perhaps a path.
 * `#endpoints=rerank+score` at the end names what it has of the rest of OpenAI's surface, `#endpoints=none` nothing.
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
  if (url.search !== "" || (url.hash !== "" && !url.hash.startsWith(DECLARES))) {
    throw bad(`The backend ${shown} has a query or a fragment: ${FORM}.`);
  }
  const endpoints = endpointsIn(url.hash, shown);
  const authorization = authorizationOf(url);
  if (authorization === null) {
    throw bad(`The backend ${shown} has a key that is not URL-encoded ASCII text.`);
  }
  const place = { ...placeOf(url, known, address), kind: known, authorization };
  return endpoints === undefined ? place : { ...place, endpoints };
}

const DECLARES = "#endpoints=";

/** Undefined where nothing is declared. */
function endpointsIn(hash: string, shown: string): readonly string[] | undefined {
  if (hash === "") return undefined;
  const names = hash.slice(DECLARES.length).toLowerCase().split("+");
  if (names.length === 1 && names[0] === "none") return [];
  const strange = names.find((name) => !ABILITY_NAMES.includes(name));
  if (strange === undefined) return [...new Set(names)];
  const list = ABILITY_NAMES.join(", ");
  throw bad(
    `The backend ${shown} has an unknown endpoint "${strange}": write ${DECLARES}none, or with + between these: ${list}.`,
  );
}

/** @param text the URL as written: a parsed one no longer shows port 80 */
function placeOf(
  url: URL,
  kind: HttpKind | undefined,
  text: string,
): Pick<Address, "origin" | "prefix" | "url"> {
  const port = kind === undefined ? undefined : PROFILES[kind].port;
  const explicit = /^https?:\/\/(?:[^/]*@)?[^/@]*:\d+(?:\/|$)/i.test(text);
  if (port !== undefined && url.protocol === "http:" && !explicit) url.port = String(port);
  const path = withoutTrailing(url.pathname, "/");
  const prefix = withoutTrailing(path.replace(/\/v1$/, ""), "/");
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

/** A line break, which no header takes, for what is not URL-encoded. */
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
