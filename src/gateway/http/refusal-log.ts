import { keyNamesOf } from "../../core/access/key-names.ts";
import { FAULTS } from "../../core/fault.ts";
import type { FaultCode } from "../../core/fault.ts";
import type { GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import type { Log } from "../../telemetry/log.ts";
import { RateLimitedLog } from "../../telemetry/rate-limited-log.ts";
import type { HttpRequest } from "./http.ts";
import type { Keyring } from "./keyring.ts";
import { plainId } from "./reply-headers.ts";

/** Called for a request that is refused before its endpoint is known: by its Host, Origin, key or body. */
export type OnRefused = (code: FaultCode, request: HttpRequest, facts?: RefusalFacts) => void;

export interface RefusalFacts {
  /** The network that sent a wrong key; empty when the client is gone. Absent: no key was wrong. */
  readonly wrongKeyOf?: string;
}

/** Lines about wrong keys are counted by themselves: requests without a key must not hide a guesser. */
const WRONG_KEY = "wrong_key";

/** Longest path in the log (characters). */
const MOST_PATH = 200;

/** Longest method in the log (characters). */
const MOST_METHOD = 20;

/** Counts and logs refused requests: a line each, unless they are very many. */
export function refusalLog(sinks: {
  readonly log: Log;
  readonly metrics: Pick<GatewayMetrics, "rejected">;
  /** Names the keys of refused requests; absent: no line has a name. */
  readonly keyring?: Pick<Keyring, "identify">;
}): OnRefused {
  const rateLimited = new RateLimitedLog(sinks.log);
  return (code, request, { wrongKeyOf } = {}) => {
    sinks.metrics.rejected("none", code);
    rateLimited.line(wrongKeyOf === undefined ? code : WRONG_KEY, () => {
      sinks.log.info("request", {
        request: plainId(request),
        method: request.method.slice(0, MOST_METHOD),
        path: request.path.slice(0, MOST_PATH),
        status: FAULTS[code].http,
        code,
        ...keyNamesOf(sinks.keyring?.identify(request.headers)),
        wrongKeyOf,
        totalMs: 0,
      });
    });
  };
}
