import type { HttpRequest, Route } from "./http.ts";
import { withoutSlash } from "./open-paths.ts";

/** Finds the route of a request as the native server does. A slash too many at the end of a path does not count. */
export class RouteTable {
  readonly #exact = new Map<string, Route[]>();
  readonly #patterns: readonly (readonly [pattern: string, routes: readonly Route[]])[];

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#exact.set(route.path, [...(this.#exact.get(route.path) ?? []), route]);
    this.#patterns = [...this.#exact].filter(([path]) => path.endsWith("/*") || path.includes("/:"));
  }

  /** The routes of the path of a request, for any method; undefined for an unknown path. */
  routesOf({ path: given }: Pick<HttpRequest, "path">): readonly Route[] | undefined {
    const path = withoutSlash(given);
    return this.#exact.get(path) ?? this.#patterns.find(([pattern]) => matchesPattern(pattern, path))?.[1];
  }

  /** The route of a request; undefined for an unknown path or method. */
  routeOf(request: Pick<HttpRequest, "method" | "path">): Route | undefined {
    return this.routesOf(request)?.find(({ method }) => method === request.method);
  }
}

/** Matches as the native router does: `:name` stands for one piece that is not empty, a last `*` for any rest. */
function matchesPattern(pattern: string, path: string): boolean {
  if (pattern.endsWith("/*")) return path.startsWith(pattern.slice(0, -1));
  const pieces = path.split("/");
  const wanted = pattern.split("/");
  if (pieces.length !== wanted.length) return false;
  return wanted.every((piece, index) =>
    piece.startsWith(":") ? pieces[index] !== "" : piece === pieces[index],
  );
}
