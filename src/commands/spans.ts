import type { Settings } from "../config/settings.ts";
import { productVersion } from "../config/version.ts";
import type { Log } from "../telemetry/log.ts";
import { openTracing } from "../telemetry/tracing.ts";
import type { Tracing } from "../telemetry/tracing.ts";
import type { Service } from "./service.ts";

/**
 * Starts a service with spans, if a collector is configured. The spans are sent before the service has stopped or its
 * start has failed. Rejects with a sentence when the SDK is missing, else as `start` does.
 * @param name service name in spans, unless the settings have one
 */
export async function startWithSpans<Started extends Service>(
  { settings, log, name }: { readonly settings: Settings; readonly log: Log; readonly name: string },
  start: (tracing: Tracing | undefined) => Promise<Started>,
): Promise<Started> {
  const { otlpEndpoint, otlpHeaders, serviceName, tracesSampler, tracesSamplerArg } = settings;
  if (otlpEndpoint === "") return start(undefined);
  const tracing = await openTracing({
    endpoint: otlpEndpoint,
    headers: otlpHeaders,
    service: serviceName === "" ? name : serviceName,
    version: productVersion(),
    sampler: tracesSampler,
    ratio: Number(tracesSamplerArg),
    log,
  });
  const started = await orStop(tracing, () => start(tracing));
  const stop = async (): Promise<void> => {
    try {
      await started.stop();
    } finally {
      await tracing.stop();
    }
  };
  return { ...started, stop };
}

/** Runs `start`. A failed start has spans to send, too. */
async function orStop<Started>(tracing: Tracing, start: () => Promise<Started>): Promise<Started> {
  try {
    return await start();
  } catch (error) {
    await tracing.stop();
    throw error;
  }
}
