/** Paths that are answered without a key. */

/** Probes and scrapers ask for these. */
const PROBES: ReadonlySet<string> = new Set([
  "/health",
  "/healthz",
  "/metrics",
  "/metrics/fleet",
  "/ping",
  "/readyz",
  "/v1/health",
]);

/** These tell of the program itself. */
const ABOUT: ReadonlySet<string> = new Set(["/openapi.json", "/version"]);

/** A path with a slash too many is the path itself. */
export function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

/** True for what probes and scrapers ask for: it is answered also where there are too many connections. */
export function isProbe(path: string): boolean {
  return PROBES.has(withoutSlash(path));
}

/** True for what is served without a key, the live page aside. */
export function isOpen(path: string): boolean {
  return isProbe(path) || ABOUT.has(withoutSlash(path));
}
