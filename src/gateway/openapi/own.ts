import { json, answersWith } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { integer, named, object, anyObject, string, enumOf } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The gateway itself: probes, metrics, this document. */

const PLAIN = "text/plain";

const UNAVAILABLE: Answers = {
  503: {
    description:
      "The gateway cannot serve. Redis is away, the gateway is stopping, or no worker has offered a model yet.",
    contents: json(named("Unavailable")),
  },
};

const SERVING: Answers = {
  ...answersWith(object({ status: enumOf(["ok"]) }, ["status"]), "The gateway can serve."),
  ...UNAVAILABLE,
};

/** A path that needs no key. */
function probe(
  operation: Pick<Operation, "path" | "summary" | "description" | "query" | "answers">,
): Operation {
  return { method: "GET", tag: "Gateway", access: "open", ...operation };
}

const METRICS: Answers = {
  200: { description: "In Prometheus' text format.", contents: { [PLAIN]: string() } },
};

const PROBES: readonly Operation[] = [
  probe({
    path: "/health",
    summary: "Reports whether the gateway can serve, in the form of llama.cpp and vLLM",
    answers: SERVING,
  }),
  probe({ path: "/v1/health", summary: "The same as /health", answers: SERVING }),
  probe({
    path: "/ping",
    summary: "The same as /health, with an empty body",
    answers: { 200: { description: "The gateway can serve." }, ...UNAVAILABLE },
  }),
  probe({
    path: "/healthz",
    summary: "Reports that the process is alive",
    answers: answersWith(
      object({ status: enumOf(["ok"]), version: string(), build: string() }, ["status"]),
      "The process is alive.",
    ),
  }),
  probe({
    path: "/readyz",
    summary: "Reports whether the gateway takes new requests",
    query: { strict: string("With any value, or none, an outage of Redis counts at once.") },
    answers: {
      200: { description: "The gateway takes requests.", contents: { [PLAIN]: string() } },
      503: {
        description: "The gateway takes no requests. The text gives the reason.",
        contents: { [PLAIN]: string() },
      },
    },
  }),
  probe({
    path: "/version",
    summary: "Returns the version of the gateway, in the form of vLLM",
    answers: answersWith(object({ version: string() }, ["version"]), "The version."),
  }),
  probe({
    path: "/openapi.json",
    summary: "Returns this document",
    answers: answersWith(anyObject("An OpenAPI document."), "The document."),
  }),
  probe({ path: "/metrics", summary: "Returns the metrics of this gateway", answers: METRICS }),
  probe({ path: "/metrics/fleet", summary: "Returns the metrics of the fleet", answers: METRICS }),
];

const UNAVAILABLE_SCHEMA: Schema = object(
  {
    error: object({ code: integer("The status."), message: string(), type: string("`unavailable_error`") }, [
      "code",
      "message",
      "type",
    ]),
  },
  ["error"],
  "The form in which llama.cpp reports that it cannot serve yet.",
);

export const OWN: Chapter = {
  operations: PROBES,
  schemas: { Unavailable: UNAVAILABLE_SCHEMA },
};
