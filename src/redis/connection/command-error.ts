import { downFault, refusedReply } from "./outages.ts";
import { isReplyError } from "./reply-error.ts";
import type { Argument } from "./connection.ts";

/** Commands whose names have two words. */
const CONTAINERS: ReadonlySet<string> = new Set(["ACL", "CLIENT", "CLUSTER", "FUNCTION", "XGROUP", "XINFO"]);

/** The error that the sender of a command gets. Keys, arguments and secrets are not part of it. */
export function commandError(error: unknown, command: readonly Argument[]): Error {
  return isReplyError(error)
    ? refusedReply(error, nameOf(command))
    : downFault("the connection to Redis broke", error);
}

/** The name of a command, without words that may be a key or a secret. */
function nameOf([command = "", subcommand = ""]: readonly Argument[]): string {
  const [name, second] = [String(command), String(subcommand)];
  return CONTAINERS.has(name) && /^[A-Z]+$/.test(second) ? `${name} ${second}` : name;
}
