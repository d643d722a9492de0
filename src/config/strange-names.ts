import type { Environment } from "./environment.ts";
import { nearest } from "../core/nearest.ts";
import { SETTINGS } from "./settings.ts";

/**
 * Finds variables that are meant for this program and that it does not know. A misspelt name would be left out without
 * a word: with `SGNET_API_KEYS` instead of `SGNET_API_KEY` everyone would be served.
 */

const KNOWN: readonly string[] = Object.values(SETTINGS).map(({ env }) => env);

/** Not settings: which process started this one, and what the tests of this program are told. */
const OTHERS = /^SGNET_(?:PARENT_|TEST_)/;

/** Names that Kubernetes and container links set for a service whose name begins with `sgnet`. */
const OF_SERVICES = /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?$/;
const SERVICE_ADDRESS = /^(?:tcp|udp|sctp):\/\//;

const OURS = /^sgnet[_-]/i;

/** Most characters that may be wrong in a name that counts as a misspelt one. */
const MOST_WRONG = 3;

/** As above, where nothing else says that the name is meant for this program. */
const MOST_WRONG_ELSEWHERE = 2;

/** Names that let everyone in when they are misspelt. */
const KEYS: readonly string[] = ["SGNET_API_KEY", "SGNET_ADMIN_KEY"];

/**
 * A sentence for each such variable, without its value.
 * @param place where they stand, e.g. ` in .env`; empty for the environment
 */
export function strangeNames(env: Environment, place: string): string[] {
  return Object.entries(env).flatMap(([name, value]) => problemOf(name, value ?? "", place) ?? []);
}

function problemOf(name: string, value: string, place: string): string | undefined {
  if (KNOWN.includes(name) || OTHERS.test(name) || isOfService(name, value)) return undefined;
  if (!OURS.test(name)) return misspeltKey(name, place);
  const meant = nearest(asName(name), KNOWN, MOST_WRONG) ?? bareNameOf(name);
  const advice = meant === undefined ? "see docs/settings.md" : `did you mean ${meant}?`;
  return `${name}${place} is no setting: ${advice}`;
}

function misspeltKey(name: string, place: string): string | undefined {
  const meant = nearest(asName(name), KEYS, MOST_WRONG_ELSEWHERE);
  return meant === undefined ? undefined : `${name}${place} is no setting: did you mean ${meant}?`;
}

function isOfService(name: string, value: string): boolean {
  return OF_SERVICES.test(name) || (name.endsWith("_PORT") && SERVICE_ADDRESS.test(value));
}

/** Some settings have no prefix: `SGNET_PORT` is meant for PORT. */
function bareNameOf(name: string): string | undefined {
  return KNOWN.find((known) => name.toUpperCase() === `SGNET_${known}`);
}

function asName(text: string): string {
  return text.toUpperCase().replaceAll("-", "_");
}
