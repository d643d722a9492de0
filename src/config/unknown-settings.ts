import type { Environment } from "./environment.ts";
import { similarName } from "../core/similar-names.ts";
import { secretFiles } from "./secret-files.ts";
import { SETTINGS } from "./settings.ts";

/**
 * Finds variables that are meant for this program but unknown to it. A misspelt name would be ignored silently: with
 * `SGNET_API_KEYS` instead of `SGNET_API_KEY` no key would be needed.
 */

const KNOWN: readonly string[] = [...Object.values(SETTINGS), ...secretFiles()].map(({ env }) => env);

/** Internal variables: the parent process, and options of the tests. */
const OTHERS = /^SGNET_(?:PARENT_|TEST_)/;

/** Variables that Kubernetes and container links set for a service whose name begins with `sgnet`. */
const OF_SERVICES = /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?$/;
const SERVICE_ADDRESS = /^(?:tcp|udp|sctp):\/\//;

const OURS = /^sgnet[_-]/i;

/** Most wrong characters in a name that counts as misspelt. */
const MOST_WRONG = 3;

/** The same for a name without our prefix. */
const MOST_WRONG_ELSEWHERE = 2;

/** Settings that would allow everyone when misspelt. */
const KEYS: readonly string[] = ["SGNET_API_KEY", "SGNET_ADMIN_KEY"];

/**
 * A sentence for each unknown variable, without its value.
 * @param place source of the variables, e.g. ` in .env`; empty for the environment
 */
export function unknownSettings(env: Environment, place: string): string[] {
  return Object.entries(env).flatMap(([name, value]) => problemOf(name, value ?? "", place) ?? []);
}

function problemOf(name: string, value: string, place: string): string | undefined {
  if (KNOWN.includes(name) || OTHERS.test(name) || isOfService(name, value)) return undefined;
  if (!OURS.test(name)) return misspeltKey(name, place);
  const meant = similarName(asName(name), KNOWN, MOST_WRONG) ?? bareNameOf(name);
  const advice = meant === undefined ? "see docs/settings.md" : `did you mean ${meant}?`;
  return `${name}${place} is no setting: ${advice}`;
}

function misspeltKey(name: string, place: string): string | undefined {
  const meant = similarName(asName(name), KEYS, MOST_WRONG_ELSEWHERE);
  return meant === undefined ? undefined : `${name}${place} is no setting: did you mean ${meant}?`;
}

function isOfService(name: string, value: string): boolean {
  return OF_SERVICES.test(name) || (name.endsWith("_PORT") && SERVICE_ADDRESS.test(value));
}

/** The setting without a prefix that was meant: `SGNET_PORT` means PORT. */
function bareNameOf(name: string): string | undefined {
  return KNOWN.find((known) => name.toUpperCase() === `SGNET_${known}`);
}

function asName(text: string): string {
  return text.toUpperCase().replaceAll("-", "_");
}
