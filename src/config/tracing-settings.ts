import type { Setting } from "./setting.ts";

/** OpenTelemetry spans; the variables are those of its specification. */
export interface TracingSettings {
  readonly otlpEndpoint: string;
  readonly otlpHeaders: string;
  readonly serviceName: string;
  readonly tracesSampler: string;
  readonly tracesSamplerArg: string;
}

/** Their part of the table of settings. */
export const TRACING_SETTINGS: { readonly [Name in keyof TracingSettings]: Setting } = {
  otlpEndpoint: {
    env: "OTEL_EXPORTER_OTLP_ENDPOINT",
    flag: "otlp-endpoint",
    type: "text",
    default: "",
    form: { pattern: /^https?:\/\/[^\s/]\S*$/, says: "a URL that begins with http:// or https://" },
    doc: "OpenTelemetry collector that takes spans, OTLP over HTTP as JSON, e.g. http://127.0.0.1:4318; /v1/traces is added; empty: no spans.",
  },
  otlpHeaders: {
    env: "OTEL_EXPORTER_OTLP_HEADERS",
    flag: "otlp-headers",
    type: "text",
    default: "",
    secret: true,
    form: { pattern: /^[\w-]+=[^,]*(?:,\s*[\w-]+=[^,]*)*$/, says: "a comma list of name=value" },
    doc: "Headers for the collector, a comma list of name=value with values percent-encoded, such as a key.",
  },
  serviceName: {
    env: "OTEL_SERVICE_NAME",
    flag: "otel-service-name",
    type: "text",
    default: "",
    doc: "Name of this process in spans; empty: sgnet-gateway and sgnet-worker.",
  },
  tracesSampler: {
    env: "OTEL_TRACES_SAMPLER",
    flag: "otel-traces-sampler",
    type: "text",
    default: "parentbased_always_on",
    choices: [
      "always_on",
      "always_off",
      "traceidratio",
      "parentbased_always_on",
      "parentbased_always_off",
      "parentbased_traceidratio",
    ],
    doc: "Which requests get spans; with parentbased the client's traceparent decides where there is one.",
  },
  tracesSamplerArg: {
    env: "OTEL_TRACES_SAMPLER_ARG",
    flag: "otel-traces-sampler-arg",
    type: "text",
    default: "1",
    form: { pattern: /^(?:0(?:\.\d+)?|1(?:\.0+)?)$/, says: "a number from 0 to 1" },
    doc: "Share of the requests that get spans, for the samplers whose names end in traceidratio.",
  },
};
