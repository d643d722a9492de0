import type { Chapter, Operation } from "./operation.ts";
import { object, string } from "./schema.ts";

const PLAIN = "text/plain";

/** A file of the live page. */
export interface PageFile {
  readonly path: string;
  /** Content type, with its charset. */
  readonly type: string;
}

const ROOT: Operation = {
  method: "GET",
  path: "/",
  tag: "Page",
  summary: "Returns the live page to browsers, without a key, and the text of Ollama to other clients",
  answers: {
    200: {
      description: "HTML where `Accept` names it, else plain text.",
      contents: { [PLAIN]: string(), "text/html": string() },
    },
  },
};

const EVENTS: Operation = {
  method: "GET",
  path: "/ui/events",
  tag: "Page",
  summary: "Streams the state of the fleet, once a second, without prompts or answers",
  answers: {
    200: {
      description: "Server-sent events. The schema describes the data of each event.",
      contents: {
        "text/event-stream": object({ at: { type: "integer", description: "Ms since 1970." } }, ["at"]),
      },
    },
    503: { description: "Too many pages are open." },
  },
};

/** Describes the live page, its files and its events. */
export function livePageChapter(files: readonly PageFile[]): Chapter {
  return { operations: [ROOT, ...files.map(fileOperation), EVENTS], schemas: {} };
}

function fileOperation({ path, type }: PageFile): Operation {
  return {
    method: "GET",
    path,
    tag: "Page",
    summary: path === "/ui" ? "The live page" : "A file of the live page",
    answers: { 200: { description: "The file.", contents: { [type.replace(/;.*/, "")]: string() } } },
    access: "open",
  };
}
