/** Paths that are answered without a key. */

/** Paths of probes and scrapers. */
const PROBES: ReadonlySet<string> = new Set([
  "/health",
  "/healthz",
  "/metrics",
  "/metrics/fleet",
  "/ping",
  "/readyz",
  "/v1/health",
]);

/** Paths that describe the program itself. */
const ABOUT: ReadonlySet<string> = new Set(["/openapi.json", "/version"]);

/** Returns the path without a last slash, which does not count. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** Returns true for the paths of probes and scrapers. They get answers even above the limit of connections. */
export function isProbe(path: string): boolean {
  return PROBES.has(withoutSlash(path));
}

/** Returns true for paths served without a key; the live page is not among them. */
export function isOpen(path: string): boolean {
  return isProbe(path) || ABOUT.has(withoutSlash(path));
}
