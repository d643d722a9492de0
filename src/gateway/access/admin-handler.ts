import { Fault, toFault } from "../../core/fault.ts";
import type { AuditedAction } from "../../core/access/audit-entry.ts";
import { sendPathFault } from "../http/fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest } from "../http/http.ts";
import type { Keyring } from "../http/keyring.ts";
import { plainIdHeaders } from "../http/reply-headers.ts";
import type { Auditor, Author } from "./auditor.ts";

/** The parts of a gateway that the paths of admins use. */
export interface AdminGuardHost {
  readonly keyring: Pick<Keyring, "isAdmin">;
  readonly auditor: Auditor;
  /** Returns the reason why requests cannot be served now; undefined when they can. */
  unready(): Fault | undefined;
}

/** A request of an admin. */
export interface AdminCall {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  readonly author: Author;
  /** Tells the audit log of a change; see {@link Auditor.record}. */
  record(action: Omit<AuditedAction, "action">, outcome?: "done" | "sent"): Promise<void>;
}

/** The answer of a path: JSON with a status, 200 when absent. */
export interface AdminAnswer {
  readonly status?: number;
  readonly body: object;
}

const JSON_TYPE: Headers = [
  ["content-type", "application/json"],
  ["cache-control", "no-store"],
];

/**
 * Lets only admins in, and reports errors in the dialect of the path. A refusal is in the audit log.
 * @param action its name in the audit log
 */
export function adminHandler(
  host: AdminGuardHost,
  action: string,
  work: (call: AdminCall) => Promise<AdminAnswer>,
): Handler {
  return (request, reply) => {
    answer(host, { action, request, reply }, work).catch((error: unknown) => {
      sendPathFault(request, reply, toFault(error));
    });
  };
}

async function answer(
  host: AdminGuardHost,
  { action, request, reply }: { action: string; request: HttpRequest; reply: HttpReply },
  work: (call: AdminCall) => Promise<AdminAnswer>,
): Promise<void> {
  const author = host.auditor.authorOf(request);
  if (!host.keyring.isAdmin(request.headers)) {
    host.auditor.refused(author, { action, target: "" });
    throw new Fault("policy_disabled", NEEDS_ADMIN);
  }
  const unready = host.unready();
  if (unready !== undefined) throw unready;
  const record: AdminCall["record"] = async (rest, outcome) =>
    host.auditor.record(author, { action, ...rest }, outcome);
  const { status = 200, body } = await work({ request, reply, author, record });
  reply.send(status, [...JSON_TYPE, ...plainIdHeaders(request)], JSON.stringify(body));
}

/** The sentence for requests without an admin key. */
export const NEEDS_ADMIN = "this needs an admin key";
