import type { Route } from "./http.ts";

/**
 * Adds HEAD to every path that answers GET and has none: the same handler is asked, and its reply leaves without a
 * body. The head of a GET, its length too, is then always that of the HEAD.
 */
export function withHeads(routes: readonly Route[]): Route[] {
  const heads = new Set(routes.filter(({ method }) => method === "HEAD").map(({ path }) => path));
  return routes.flatMap((route): Route[] =>
    route.method === "GET" && !heads.has(route.path) ? [route, { ...route, method: "HEAD" }] : [route],
  );
}
