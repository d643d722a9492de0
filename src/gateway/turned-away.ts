import { FAULTS } from "../core/fault.ts";
import type { FaultCode } from "../core/fault.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import type { HttpRequest } from "./http.ts";
import { plainId } from "./request-id.ts";

/** Told of a request that is refused before its endpoint is looked at: by its Host, Origin, key or body. */
export type OnTurnedAway = (code: FaultCode, request: HttpRequest) => void;

/** Of a path nobody knows so much is logged, characters. */
const MOST_PATH = 200;

/** Counts and logs them, a line each. */
export function turnedAwayTo(told: {
  readonly log: Log;
  readonly metrics: Pick<GatewayMetrics, "rejected">;
}): OnTurnedAway {
  return (code, request) => {
    told.metrics.rejected("none", code);
    told.log.info("request", {
      request: plainId(request),
      method: request.method,
      path: request.path.slice(0, MOST_PATH),
      status: FAULTS[code].http,
      code,
      totalMs: 0,
    });
  };
}
