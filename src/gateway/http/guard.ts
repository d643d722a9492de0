import type { Settings } from "../../config/settings.ts";
import { systemAmbient } from "../../core/ambient.ts";
import { Fault } from "../../core/fault.ts";
import type { FaultCode } from "../../core/fault.ts";
import type { Log } from "../../telemetry/log.ts";
import { sendPathFault } from "./fault-reply.ts";
import type { Guard, Handler, Headers, HttpReply, HttpRequest, Route } from "./http.ts";
import type { Principal } from "../../core/access/principal.ts";
import { networkOf } from "./keyring.ts";
import type { Keyring } from "./keyring.ts";
import { isOpen } from "./open-paths.ts";
import { isLoopback, isSameOrigin } from "./origin-policy.ts";
import type { OriginPolicy } from "./origin-policy.ts";
import { plainIdHeaders } from "./reply-headers.ts";
import type { OnRefused, RefusalFacts } from "./refusal-log.ts";
import { WrongKeys } from "./wrong-keys.ts";

export interface GuardOptions {
  readonly origins: OriginPolicy;
  readonly keyring: Keyring;
  /** True for requests that need no key although {@link isOpen} does not list their path. */
  readonly isPublic: (request: HttpRequest) => boolean;
  readonly onRefused: OnRefused;
  /** The route of a request; undefined for an unknown one. Absent: no route lets an observer in. */
  readonly routeOf?: (request: HttpRequest) => Route | undefined;
  /** The guard's own when absent. */
  readonly wrongKeys?: WrongKeys;
  /** Called for each wrong key. @param isLimited true when it was above the bound of its network */
  readonly onWrongKey?: (isLimited: boolean) => void;
}

/** Headers that browsers may send: Ollama's list, and those of the public libraries of Anthropic and OpenAI. */
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
 * Checks every request before its body is read: Host, Origin, key and role, in this order. Replies to an allowed page
 * carry its CORS headers, errors too.
 */
export function buildGuard(options: GuardOptions): Guard {
  const { origins, keyring, isPublic, onRefused } = options;
  const judge = roleJudge(options);
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
    const principal = keyring.identify(headers);
    if (principal === undefined && (isOpen(path) || isPublic(request))) return undefined;
    return judge(principal, request, reply);
  };
}

type RoleJudge = (
  principal: Principal | undefined,
  request: HttpRequest,
  reply: HttpReply,
) => Handler | undefined;

/**
 * Judges a request by the role of its key. Wrong keys are counted where a valid one is needed, also by clients on the
 * paths of admins. A request without any key is no guess and is not counted.
 */
function roleJudge(options: GuardOptions): RoleJudge {
  const { keyring, isPublic, onRefused, routeOf = () => undefined, onWrongKey = () => {} } = options;
  const { wrongKeys = new WrongKeys(systemAmbient.mono) } = options;
  /** Counts a wrong key, if there is one. Returns the handler that refuses it when its network sent too many. */
  const countWrong = (
    request: HttpRequest,
    onCounted: (facts: RefusalFacts) => void,
  ): Handler | undefined => {
    if (!keyring.hasWrongKey(request.headers)) return undefined;
    const { remote } = request;
    const waitSeconds = wrongKeys.count(remote);
    onWrongKey(waitSeconds > 0);
    const facts = { wrongKeyOf: networkOf(remote) };
    if (waitSeconds === 0) {
      onCounted(facts);
      return undefined;
    }
    onRefused("rate_limited", request, facts);
    return tooManyWrongKeys(waitSeconds);
  };
  return (principal, request, reply) => {
    if (principal === undefined) {
      let facts: RefusalFacts | undefined;
      const limited = countWrong(request, (counted) => (facts = counted));
      if (limited !== undefined) return limited;
      onRefused("unauthorized", request, facts);
      return unauthorized;
    }
    if (principal.role === "observer") {
      reply.addHeaders(OBSERVER);
      if (isOpen(request.path) || isPublic(request) || routeOf(request)?.role === "observer")
        return undefined;
      onRefused("forbidden", request);
      return notForObservers;
    }
    // The route answers a client with its own refusal. A request without any key is no guess.
    const { authorization, apiKey } = request.headers;
    const hasKey = authorization !== "" || apiKey !== "";
    if (hasKey && principal.role === "client" && routeOf(request)?.role === "admin")
      return countWrong(request, () => {});
    return undefined;
  };
}

/** Tells the live page which of its parts its key cannot use. */
const OBSERVER: Headers = [["x-sgnet-role", "observer"]];

function corsHeaders(origin: string): Headers {
  return [
    ["access-control-allow-origin", origin],
    ["vary", "Origin"],
    ["access-control-expose-headers", "x-request-id, request-id, retry-after, x-sgnet-dropped"],
  ];
}

/** Answers as Ollama refuses such requests, and adds an id. */
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

const notForObservers: Handler = (request, reply) => {
  const message = "the key of an observer shows the fleet and its figures, and allows nothing else";
  sendPathFault(request, reply, new Fault("forbidden", message));
};

/** Official SDKs repeat a 429 unless they are told not to: a wrong key stays wrong. */
const NO_RETRY: Headers = [["x-should-retry", "false"]];

function tooManyWrongKeys(retryAfter: number): Handler {
  return (request, reply) => {
    const message = "too many wrong API keys came from this address: a valid key still works";
    sendPathFault(request, reply, new Fault("rate_limited", message, { retryAfter }), NO_RETRY);
  };
}

/**
 * Returns the reason why a gateway serves everyone who reaches it. Undefined with keys, or on a loopback address.
 * @param refusesAnonymous true when records of keys refuse requests without a key
 */
export function unguardedAddress(
  { host, apiKeys }: Pick<Settings, "host" | "apiKeys">,
  refusesAnonymous = false,
): string | undefined {
  if (apiKeys !== "" || refusesAnonymous || isLoopback(host)) return undefined;
  return `no key is set, and everyone who reaches ${host} is served: set SGNET_API_KEY, or HOST=127.0.0.1`;
}

/** Warns, once, of a gateway that serves everyone: few operators mean that. */
export function warnIfUnguarded(
  settings: Pick<Settings, "host" | "apiKeys">,
  log: Pick<Log, "warn">,
  refusesAnonymous = false,
): void {
  const problem = unguardedAddress(settings, refusesAnonymous);
  if (problem !== undefined) log.warn(problem);
}
