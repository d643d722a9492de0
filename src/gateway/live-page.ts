import { readFileSync } from "node:fs";
import type { Handler, Headers, HttpRequest, Route } from "./http/http.ts";
import { withoutSlash } from "./http/open-paths.ts";
import { plainIdHeaders } from "./http/reply-headers.ts";

/** Serves the live page: static files without data, open to everyone. The data that they show needs a key. */

interface StaticFile {
  readonly path: string;
  /** Name in the folder `ui`. */
  readonly file: string;
  readonly type: string;
}

const SCRIPT = "text/javascript; charset=utf-8";
const PAGE: StaticFile = { path: "/ui", file: "page.html", type: "text/html; charset=utf-8" };

/** The page and its files. */
export const PAGE_FILES: readonly StaticFile[] = [
  PAGE,
  { path: "/ui/page.css", file: "page.css", type: "text/css; charset=utf-8" },
  { path: "/ui/page.js", file: "page.js", type: SCRIPT },
  { path: "/ui/chart.js", file: "chart.js", type: SCRIPT },
  { path: "/ui/chat.js", file: "chat.js", type: SCRIPT },
  { path: "/ui/admin.js", file: "admin.js", type: SCRIPT },
  { path: "/ui/keys.js", file: "keys.js", type: SCRIPT },
  { path: "/ui/manage.js", file: "manage.js", type: SCRIPT },
  { path: "/ui/stream.js", file: "stream.js", type: SCRIPT },
  { path: "/ui/usage.js", file: "usage.js", type: SCRIPT },
];

const PATHS: ReadonlySet<string> = new Set(PAGE_FILES.map(({ path }) => path));

/** Allows nothing from other origins, nothing inline, and no frame around the page. */
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

/** Returns true for a request for the page or one of its files. At `/` only browsers get the page. */
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

/** Reads the files of the page, once. @param events answers with the event stream of the page */
export function openUi(events: Handler): Ui {
  const files = PAGE_FILES.map((file): Route => ({
    method: "GET",
    path: file.path,
    handler: serve(file),
    role: "observer",
  }));
  const feed: Route = { method: "GET", path: "/ui/events", handler: events, role: "observer" };
  return { page: serve(PAGE), routes: [...files, feed] };
}

function serve({ file, type }: StaticFile): Handler {
  const text = readFileSync(new URL(`./ui/${file}`, import.meta.url), "utf8");
  return (request, reply) => {
    reply.send(200, [["content-type", type], ...HEADERS, ...plainIdHeaders(request)], text);
  };
}
