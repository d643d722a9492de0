import { INTERNALS } from "./internals.ts";
import { MODELS } from "./models.ts";
import { NODES } from "./nodes.ts";
import { OVERVIEW } from "./overview.ts";
import { toGrafana } from "./panel.ts";
import type { Dashboard } from "./panel.ts";
import { SHARING } from "./sharing.ts";

export const DASHBOARDS: readonly Dashboard[] = [OVERVIEW, MODELS, NODES, SHARING, INTERNALS];

/** File name and text of each dashboard. */
export function dashboardFiles(): Map<string, string> {
  return new Map(
    DASHBOARDS.map((dashboard) => [
      `${dashboard.uid}.json`,
      `${JSON.stringify(toGrafana(dashboard), undefined, 2)}\n`,
    ]),
  );
}
