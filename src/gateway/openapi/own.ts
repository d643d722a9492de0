import { FILES } from "../ui.ts";
import { json, tells } from "./operation.ts";
import type { Answers, Chapter, Operation } from "./operation.ts";
import { integer, named, object, open, text, word } from "./schema.ts";
import type { Schema } from "./schema.ts";

/** The gateway itself: probes, metrics, the page. */

const PLAIN = "text/plain";

const UNAVAILABLE: Answers = {
  503: {
    description: "It cannot serve: Redis is away, it is stopping, or no worker has offered a model yet.",
    contents: json(named("Unavailable")),
  },
};

const SERVING: Answers = {
  ...tells(object({ status: word(["ok"]) }, ["status"]), "It can serve."),
  ...UNAVAILABLE,
};

/** A path that is open to everyone. */
function probe(told: Pick<Operation, "path" | "summary" | "description" | "query" | "answers">): Operation {
  return { method: "GET", tag: "Gateway", access: "open", ...told };
}

const METRICS: Answers = {
  200: { description: "In Prometheus' text format.", contents: { [PLAIN]: text() } },
};

const PROBES: readonly Operation[] = [
  probe({
    path: "/health",
    summary: "Whether it can serve, as llama.cpp and vLLM tell it",
    answers: SERVING,
  }),
  probe({ path: "/v1/health", summary: "As /health", answers: SERVING }),
  probe({
    path: "/ping",
    summary: "As /health, with an empty body",
    answers: { 200: { description: "It can serve." }, ...UNAVAILABLE },
  }),
  probe({
    path: "/healthz",
    summary: "That the process is alive",
    answers: tells(object({ status: word(["ok"]), version: text(), build: text() }, ["status"]), "It is."),
  }),
  probe({
    path: "/readyz",
    summary: "Whether it takes requests",
    query: { strict: text("With any value, or none: an outage of Redis counts from its first moment.") },
    answers: {
      200: { description: "It does.", contents: { [PLAIN]: text() } },
      503: { description: "It does not: the text says why.", contents: { [PLAIN]: text() } },
    },
  }),
  probe({
    path: "/version",
    summary: "Its version, as vLLM tells it",
    answers: tells(object({ version: text() }, ["version"]), "The version."),
  }),
  probe({
    path: "/openapi.json",
    summary: "This document",
    answers: tells(open("An OpenAPI document."), "The document."),
  }),
  probe({ path: "/metrics", summary: "Metrics of this gateway", answers: METRICS }),
  probe({ path: "/metrics/fleet", summary: "Metrics of the fleet", answers: METRICS }),
];

const PAGE: readonly Operation[] = [
  {
    method: "GET",
    path: "/",
    tag: "Page",
    summary: "The live page for browsers, which need no key; for all others Ollama's word that it runs",
    answers: {
      200: { description: "By what is accepted.", contents: { [PLAIN]: text(), "text/html": text() } },
    },
  },
  ...FILES.map(({ path, type }): Operation => ({
    method: "GET",
    path,
    tag: "Page",
    summary: path === "/ui" ? "The live page" : "A file of the live page",
    answers: { 200: { description: "The file.", contents: { [type.replace(/;.*/, "")]: text() } } },
    access: "open",
  })),
  {
    method: "GET",
    path: "/ui/events",
    tag: "Page",
    summary: "Tells what the fleet does, once a second, without a word of prompts or answers",
    answers: {
      200: {
        description: "Server-sent events: the schema is that of the data of each.",
        contents: {
          "text/event-stream": object({ at: { type: "integer", description: "Ms since 1970." } }, ["at"]),
        },
      },
      503: { description: "Too many pages are open." },
    },
  },
];

const UNAVAILABLE_SCHEMA: Schema = object(
  {
    error: object({ code: integer("The status."), message: text(), type: text("`unavailable_error`") }, [
      "code",
      "message",
      "type",
    ]),
  },
  ["error"],
  "As llama.cpp says that it cannot serve yet.",
);

export const OWN: Chapter = {
  operations: [...PROBES, ...PAGE],
  schemas: { Unavailable: UNAVAILABLE_SCHEMA },
};
