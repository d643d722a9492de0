import { usageCsv } from "../../core/access/usage-table.ts";
import { Fault, toFault } from "../../core/fault.ts";
import { reportUsage } from "../../redis/access/usage-report.ts";
import type { UsageQuestion, UsageReport, UsageSource } from "../../redis/access/usage-report.ts";
import { sendPathFault } from "../http/fault-reply.ts";
import type { Handler, Headers, HttpReply, HttpRequest, Route } from "../http/http.ts";
import type { Keyring } from "../http/keyring.ts";
import { plainIdHeaders } from "../http/reply-headers.ts";

/** The parts of a gateway that tell usage. */
export interface UsageHost {
  readonly keyring: Pick<Keyring, "identify">;
  readonly stores: UsageSource;
  /** Returns the reason why requests cannot be served now; undefined when they can. */
  unready(): Fault | undefined;
}

const PRIVATE: Headers = [
  ["cache-control", "no-store"],
  ["vary", "accept"],
];

const PARTS = ["by", "from", "to", "tenant", "key"] as const;

/** Path of the usage report, for admins and observers: JSON, or CSV by `format=csv` or the header Accept. */
export function usageRoute(host: UsageHost): Route {
  const handler: Handler = (request, reply) => {
    void send(host, request, reply);
  };
  return { method: "GET", path: "/admin/usage", role: "observer", handler };
}

async function send(host: UsageHost, request: HttpRequest, reply: HttpReply): Promise<void> {
  try {
    const { type, body } = await answer(host, request);
    reply.send(200, [["content-type", type], ...PRIVATE, ...plainIdHeaders(request)], body);
  } catch (error) {
    sendPathFault(request, reply, toFault(error));
  }
}

async function answer(
  host: UsageHost,
  request: HttpRequest,
): Promise<{ readonly type: string; readonly body: string }> {
  const role = host.keyring.identify(request.headers)?.role;
  if (role !== "admin" && role !== "observer") {
    throw new Fault("policy_disabled", "usage needs an admin key, or one with the role observer");
  }
  const fault = host.unready();
  if (fault !== undefined) throw fault;
  const query = new URLSearchParams(request.query);
  const asCsv = isCsv(query, request.headers.accept);
  const report = await reportUsage(host.stores, questionOf(query));
  return asCsv
    ? { type: "text/csv; charset=utf-8; header=present", body: usageCsv(report.rows, report.by) }
    : { type: "application/json", body: JSON.stringify(jsonOf(report)) };
}

function questionOf(query: URLSearchParams): UsageQuestion {
  const question: Partial<Record<(typeof PARTS)[number], string>> = {};
  for (const [name, value] of query) {
    if (name === "format") continue;
    const part = PARTS.find((one) => one === name);
    if (part === undefined) {
      throw new Fault(
        "invalid_request",
        `usage has no parameter '${name}': it has ${PARTS.join(", ")} and format`,
      );
    }
    question[part] = value;
  }
  return question;
}

function isCsv(query: URLSearchParams, accept: string): boolean {
  const format = query.get("format");
  if (format !== null && format !== "csv" && format !== "json") {
    throw new Fault("invalid_request", "the format of usage is csv or json");
  }
  return format === null ? /\btext\/csv\b/i.test(accept) : format === "csv";
}

/** The report as it leaves, with the member order of the documentation. */
function jsonOf({ from, to, by, rows, total, budgets }: UsageReport): object {
  return { from, to, by, rows, total, budgets };
}
