import { FAULTS } from "../core/fault.ts";
import type { FaultCode } from "../core/fault.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Log } from "../telemetry/log.ts";
import { SparingLog } from "../telemetry/sparing-log.ts";
import type { HttpRequest } from "./http.ts";
import { plainId } from "./request-id.ts";

/** Told of a request that is refused before its endpoint is looked at: by its Host, Origin, key or body. */
export type OnTurnedAway = (code: FaultCode, request: HttpRequest) => void;

/** Of a path nobody knows so much is logged, characters. */
const MOST_PATH = 200;

/** And so much of a method. */
const MOST_METHOD = 20;

/** Counts and logs them: a line each, unless they are very many. */
export function turnedAwayTo(told: {
  readonly log: Log;
  readonly metrics: Pick<GatewayMetrics, "rejected">;
}): OnTurnedAway {
  const sparing = new SparingLog(told.log);
  return (code, request) => {
    told.metrics.rejected("none", code);
    sparing.line(code, () => {
      told.log.info("request", {
        request: plainId(request),
        method: request.method.slice(0, MOST_METHOD),
        path: request.path.slice(0, MOST_PATH),
        status: FAULTS[code].http,
        code,
        totalMs: 0,
      });
    });
  };
}
