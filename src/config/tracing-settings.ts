import type { Setting } from "./setting.ts";

/** OpenTelemetry spans. The names of the variables are those of its specification. */
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
    doc: "URL of the OpenTelemetry collector for spans (OTLP over HTTP as JSON), e.g. http://127.0.0.1:4318; /v1/traces is appended. Empty: no spans.",
  },
  otlpHeaders: {
    env: "OTEL_EXPORTER_OTLP_HEADERS",
    flag: "otlp-headers",
    type: "text",
    default: "",
    secret: true,
    list: true,
    form: { pattern: /^[\w-]+=[^,]*(?:,\s*[\w-]+=[^,]*)*$/, says: "a comma list of name=value" },
    doc: "Headers for the collector, such as a key: a comma list of name=value with percent-encoded values.",
  },
  serviceName: {
    env: "OTEL_SERVICE_NAME",
    flag: "otel-service-name",
    type: "text",
    default: "",
    doc: "Service name of this process in spans. Empty: sgnet-gateway or sgnet-worker.",
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
    doc: "Sampler that decides which requests get spans. With parentbased, the client's traceparent decides, if there is one.",
  },
  tracesSamplerArg: {
    env: "OTEL_TRACES_SAMPLER_ARG",
    flag: "otel-traces-sampler-arg",
    type: "text",
    default: "1",
    form: { pattern: /^(?:0(?:\.\d+)?|1(?:\.0+)?)$/, says: "a number from 0 to 1" },
    doc: "Share of the requests that get spans, for samplers whose names end in traceidratio.",
  },
};
