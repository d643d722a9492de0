import { Fault } from "../core/fault.ts";
import type { FaultCode } from "../core/fault.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Guard, Handler, Headers, HttpRequest } from "./http.ts";
import type { Keyring } from "./keyring.ts";
import { isOpen } from "./open-paths.ts";
import { isSameOrigin } from "./origin.ts";
import type { OriginPolicy } from "./origin.ts";
import { plainIdHeaders } from "./request-id.ts";
import type { OnTurnedAway } from "./turned-away.ts";
import { asksForPage } from "./ui.ts";

export interface DoorOptions {
  readonly origins: OriginPolicy;
  readonly keyring: Keyring;
  readonly onRefused: OnTurnedAway;
}

/** What browsers may send: Ollama's list, and what the public client libraries of Anthropic and OpenAI add. */
const ALLOWED_HEADERS = [
  "Authorization",
  "Content-Type",
  "User-Agent",
  "Accept",
  "X-Requested-With",
  "X-Request-Id",
  "X-Api-Key",
  "Anthropic-Version",
  "Anthropic-Beta",
  "Anthropic-Dangerous-Direct-Browser-Access",
  "OpenAI-Beta",
  "OpenAI-Organization",
  "OpenAI-Project",
  "Idempotency-Key",
  "Traceparent",
  "X-Sgnet-Timeouts",
  "X-Stainless-Arch",
  "X-Stainless-Async",
  "X-Stainless-Custom-Poll-Interval",
  "X-Stainless-Helper",
  "X-Stainless-Helper-Method",
  "X-Stainless-Lang",
  "X-Stainless-OS",
  "X-Stainless-Package-Version",
  "X-Stainless-Poll-Helper",
  "X-Stainless-Read-Timeout",
  "X-Stainless-Retry-Count",
  "X-Stainless-Runtime",
  "X-Stainless-Runtime-Version",
  "X-Stainless-Timeout",
].join(",");

const PREFLIGHT: Headers = [
  ["access-control-allow-methods", "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"],
  ["access-control-allow-headers", ALLOWED_HEADERS],
  ["access-control-max-age", "43200"],
];

/**
 * The one place every request passes before its body is read: Host, Origin and key, in this order. Replies to an
 * allowed page carry its CORS headers whatever becomes of the request.
 */
export function buildGuard({ origins, keyring, onRefused }: DoorOptions): Guard {
  const forbid = (code: FaultCode, request: HttpRequest): Handler => {
    onRefused(code, request);
    return forbidden;
  };
  return (request, reply) => {
    const { headers, method, path } = request;
    const { origin, host } = headers;
    if (!origins.allowsHost(host)) return forbid("host_forbidden", request);
    if (origin !== "" && !isSameOrigin(origin, host)) {
      if (!origins.allowsOrigin(origin)) return forbid("origin_forbidden", request);
      reply.addHeaders(corsHeaders(origin));
      // A preflight never carries a key.
      if (method === "OPTIONS") return preflight;
    }
    if (keyring.isClient(headers) || isOpen(path) || asksForPage(request)) return undefined;
    onRefused("unauthorized", request);
    return unauthorized;
  };
}

function corsHeaders(origin: string): Headers {
  return [
    ["access-control-allow-origin", origin],
    ["vary", "Origin"],
    ["access-control-expose-headers", "x-request-id, request-id, retry-after, x-sgnet-dropped"],
  ];
}

/** As Ollama refuses them, and with an id. */
const forbidden: Handler = (request, reply) => {
  reply.send(403, plainIdHeaders(request), "");
};

const preflight: Handler = (_request, reply) => {
  reply.send(204, PREFLIGHT, "");
};

const unauthorized: Handler = (request, reply) => {
  const fault = new Fault("unauthorized", "missing or wrong API key");
  sendPathFault(request, reply, fault, [["www-authenticate", "Bearer"]]);
};
