import { readFileSync } from "node:fs";
import type { Handler, Headers, HttpRequest, Route } from "./http.ts";
import { withoutSlash } from "./open-paths.ts";
import { plainIdHeaders } from "./request-id.ts";

/** The live page: static files without any data, served to everyone; what they show has to pass the door. */

export interface File {
  readonly path: string;
  /** In the folder `ui`. */
  readonly file: string;
  readonly type: string;
}

const SCRIPT = "text/javascript; charset=utf-8";
const PAGE: File = { path: "/ui", file: "page.html", type: "text/html; charset=utf-8" };

/** The page and its files. */
export const FILES: readonly File[] = [
  PAGE,
  { path: "/ui/page.css", file: "page.css", type: "text/css; charset=utf-8" },
  { path: "/ui/page.js", file: "page.js", type: SCRIPT },
  { path: "/ui/chart.js", file: "chart.js", type: SCRIPT },
  { path: "/ui/chat.js", file: "chat.js", type: SCRIPT },
  { path: "/ui/manage.js", file: "manage.js", type: SCRIPT },
  { path: "/ui/stream.js", file: "stream.js", type: SCRIPT },
];

const PATHS: ReadonlySet<string> = new Set(FILES.map(({ path }) => path));

/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS: Headers = [
  ["content-security-policy", POLICY],
  ["x-content-type-options", "nosniff"],
  ["referrer-policy", "no-referrer"],
  ["cache-control", "no-cache"],
  ["vary", "Accept"],
];

/** True for a request for the page or one of its files. At `/` browsers get the page, all others Ollama's text. */
export function asksForPage({ method, path, headers }: HttpRequest): boolean {
  if (path === "/") return method === "GET" && headers.accept.includes("text/html");
  return PATHS.has(withoutSlash(path));
}

export interface Ui {
  /** Answers with the page. */
  readonly page: Handler;
  /** The page, its files, and its events. */
  readonly routes: readonly Route[];
}

/** Reads the page's files, once. */
export function openUi(events: Handler): Ui {
  const files = FILES.map((file): Route => ({ method: "GET", path: file.path, handler: serve(file) }));
  return { page: serve(PAGE), routes: [...files, { method: "GET", path: "/ui/events", handler: events }] };
}

function serve({ file, type }: File): Handler {
  const text = readFileSync(new URL(`./ui/${file}`, import.meta.url), "utf8");
  return (request, reply) => {
    reply.send(200, [["content-type", type], ...HEADERS, ...plainIdHeaders(request)], text);
  };
}
