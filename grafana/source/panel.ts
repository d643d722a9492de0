/** What the dashboards are made of, and how it becomes Grafana's JSON. */

/** A PromQL query; `$model`, `$__rate_interval` and the like are Grafana's variables. */
export interface Query {
  readonly expr: string;
  /** Names each line, e.g. `{{model}}`. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  /** The question it answers and what to think of the answer. */
  readonly description: string;
  readonly kind: "timeseries" | "stat" | "table";
  /** Grafana's id of a unit. */
  readonly unit: "s" | "percentunit" | "reqps" | "short" | "bytes" | "Bps" | "cps";
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly width: number;
  /** Lines lie on each other: what they add up to matters. */
  readonly stacked?: boolean;
  /** From the first of these values on it is yellow, from the second red. */
  readonly limits?: readonly [number, number];
  /** Below the first of these values it is red, below the second yellow. */
  readonly floors?: readonly [number, number];
}

/** A choice at the top of a dashboard. */
export interface Variable {
  readonly name: string;
  readonly label: string;
  /** The series and the label whose values are the choices. */
  readonly of: readonly [metric: string, label: string];
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

export interface Row {
  /** The question its panels answer. */
  readonly title: string;
  readonly panels: readonly Panel[];
}

const DATASOURCE = { type: "prometheus", uid: "${datasource}" } as const;
const HEIGHTS: Readonly<Record<Panel["kind"], number>> = { timeseries: 8, stat: 4, table: 8 };
const COLUMNS = 24;

/** The dashboard as Grafana reads it from a file. */
export function toGrafana(dashboard: Dashboard): object {
  return {
    uid: dashboard.uid,
    title: dashboard.title,
    description: dashboard.description,
    tags: ["stargazer"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "15s",
    time: { from: "now-1h", to: "now" },
    timezone: "browser",
    links: [
      {
        type: "dashboards",
        title: "Stargazer",
        icon: "external link",
        tooltip: "",
        tags: ["stargazer"],
        asDropdown: true,
        includeVars: false,
        keepTime: true,
        targetBlank: false,
      },
    ],
    templating: { list: [CHOICE_OF_SOURCE, ...dashboard.variables.map(toVariable)] },
    panels: layOut(dashboard.rows),
  };
}

const CHOICE_OF_SOURCE = { name: "datasource", label: "Source", type: "datasource", query: "prometheus" };

function toVariable({ name, label, of: [metric, of] }: Variable): object {
  return {
    name,
    label,
    type: "query",
    datasource: DATASOURCE,
    query: { query: `label_values(${metric}, ${of})`, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
  };
}

/** Rows below each other, the panels of each from left to right. */
function layOut(rows: readonly Row[]): object[] {
  const placed: object[] = [];
  let y = 0;
  for (const row of rows) {
    placed.push({
      id: placed.length + 1,
      type: "row",
      title: row.title,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of row.panels) {
      if (x + panel.width > COLUMNS) {
        y += height;
        x = 0;
        height = 0;
      }
      const h = HEIGHTS[panel.kind];
      placed.push({ id: placed.length + 1, ...toPanel(panel), gridPos: { x, y, w: panel.width, h } });
      x += panel.width;
      height = Math.max(height, h);
    }
    y += height;
  }
  return placed;
}

function toPanel(panel: Panel): object {
  const { kind, title, description } = panel;
  return {
    type: kind,
    title,
    description,
    datasource: DATASOURCE,
    targets: panel.queries.map((query, index) => toTarget(panel, query, index)),
    fieldConfig: { defaults: defaultsOf(panel), overrides: [] },
    options: OPTIONS[kind],
    ...(kind === "table" ? { transformations: TABLE_COLUMNS } : {}),
  };
}

function toTarget({ kind }: Panel, { expr, legend }: Query, index: number): object {
  const refId = String.fromCharCode("A".charCodeAt(0) + index);
  const now = kind === "table" ? { instant: true, format: "table" } : { range: true };
  return { refId, datasource: DATASOURCE, expr, legendFormat: legend, ...now };
}

function defaultsOf(panel: Panel): object {
  const { unit, kind } = panel;
  const common = { unit, min: 0, noValue: "none", thresholds: { mode: "absolute", steps: stepsOf(panel) } };
  if (kind !== "timeseries") return common;
  const stacking = { mode: panel.stacked === true ? "normal" : "none", group: "A" };
  const limited = panel.limits === undefined && panel.floors === undefined ? "off" : "dashed";
  const fillOpacity = panel.stacked === true ? 40 : 10;
  return {
    ...common,
    custom: { lineWidth: 1, fillOpacity, showPoints: "never", stacking, thresholdsStyle: { mode: limited } },
  };
}

interface Step {
  readonly color: "green" | "yellow" | "red";
  /** Null for the first: from below. */
  readonly value: number | null;
}

function stepsOf({ limits, floors }: Panel): Step[] {
  if (limits !== undefined) {
    return [
      { color: "green", value: null },
      { color: "yellow", value: limits[0] },
      { color: "red", value: limits[1] },
    ];
  }
  if (floors === undefined) return [{ color: "green", value: null }];
  const between: Step[] = floors[0] < floors[1] ? [{ color: "yellow", value: floors[0] }] : [];
  return [{ color: "red", value: null }, ...between, { color: "green", value: floors[1] }];
}

const OPTIONS: Readonly<Record<Panel["kind"], object>> = {
  timeseries: {
    legend: { displayMode: "table", placement: "bottom", calcs: ["lastNotNull", "max"] },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: {
    colorMode: "value",
    graphMode: "area",
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
  },
  table: { showHeader: true, cellHeight: "sm" },
};

const TABLE_COLUMNS = [
  { id: "merge", options: {} },
  {
    id: "organize",
    options: { excludeByName: { Time: true, instance: true, job: true, __name__: true } },
  },
];
