/** Parts of the dashboards, and their conversion into Grafana's JSON. */

/** A PromQL query; `$model`, `$__rate_interval` and the like are Grafana's variables. */
export interface Query {
  readonly expr: string;
  /** Names each line, e.g. `{{model}}`. */
  readonly legend: string;
  /** Drawn as a limit: dashed, with nothing below it. */
  readonly dashed?: boolean;
  /** Unit that differs from the rest of the panel; it gets an axis at the right. */
  readonly unit?: Unit;
  readonly words?: Words;
}

/**
 * Grafana's id of a unit. `none` is for whole numbers, `short` for others. The text behind `suffix:` follows the
 * number.
 */
export type Unit =
  | "s"
  | "percentunit"
  | "reqps"
  | "none"
  | "short"
  | "bytes"
  | "suffix: tokens/s"
  | "suffix: /s";

type Color = "green" | "yellow" | "red" | "blue";

/** Texts for numbers. */
export type Words = Readonly<Record<number, { readonly text: string; readonly color?: Color }>>;

export interface Panel {
  // 12 fields: the parts of a panel in Grafana
  readonly title: string;
  /** The question that the panel answers, and the meaning of the answer. */
  readonly description: string;
  readonly kind: "timeseries" | "stat" | "table";
  readonly unit: Unit;
  readonly queries: readonly Query[];
  /** Columns of 24. */
  readonly width: number;
  /** The lines are stacked: their sum matters. */
  readonly stacked?: boolean;
  /** Values from which the panel turns yellow and red. */
  readonly limits?: readonly [number, number];
  /** Values below which the panel turns red and yellow. */
  readonly floors?: readonly [number, number];
  /** Colours of the healthy lines, by name. The others are red, each in its own shade. */
  readonly colors?: Readonly<Record<string, Color>>;
  readonly words?: Words;
  /** The columns of a table by the labels they show, from left to right; `Value` is the number. */
  readonly columns?: Readonly<Record<string, string>>;
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
const HEIGHTS: Readonly<Record<Panel["kind"], number>> = { timeseries: 9, stat: 4, table: 9 };
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
    fieldConfig: { defaults: defaultsOf(panel), overrides: overridesOf(panel) },
    options: optionsOf(panel),
    ...(panel.columns === undefined ? {} : { transformations: [arrangement(panel.columns)] }),
  };
}

function toTarget({ kind }: Panel, { expr, legend }: Query, index: number): object {
  const refId = refIdOf(index);
  const now = kind === "table" ? { instant: true, format: "table" } : { range: true };
  return { refId, datasource: DATASOURCE, expr, legendFormat: legend, ...now };
}

function defaultsOf(panel: Panel): object {
  const { unit, kind, words } = panel;
  const common = {
    unit,
    ...(unit === "none" ? { decimals: 0 } : {}),
    min: 0,
    noValue: "none",
    thresholds: { mode: "absolute", steps: stepsOf(panel) },
    ...(panel.colors === undefined ? {} : { color: { mode: "shades", fixedColor: "red" } }),
    ...(words === undefined
      ? {}
      : { mappings: mappingsOf(words), max: Math.max(...Object.keys(words).map(Number)) }),
  };
  if (kind === "stat") return common;
  if (kind === "table") return { ...common, custom: { minWidth: 80 } };
  const stacking = { mode: panel.stacked === true ? "normal" : "none", group: "A" };
  const limited = panel.limits === undefined && panel.floors === undefined ? "off" : "dashed";
  return {
    ...common,
    custom: {
      lineWidth: 1,
      fillOpacity: fillOf(panel),
      showPoints: "never",
      stacking,
      thresholdsStyle: { mode: limited },
    },
  };
}

/** Opacity below the lines, per cent. Many crossing lines would blur it, so they get none. */
function fillOf({ stacked, queries }: Panel): number {
  if (stacked === true) return 40;
  return queries.some(({ legend }) => legend.includes("{{")) ? 0 : 10;
}

function mappingsOf(words: Words): object[] {
  const options = Object.fromEntries(
    Object.entries(words).map(([value, word], index) => [value, { ...word, index }]),
  );
  return [{ type: "value", options }];
}

function overridesOf({ kind, queries, colors = {} }: Panel): object[] {
  if (kind === "table") return [COLORED_NUMBERS];
  const byQuery = queries.map((query, index) => ({
    matcher: { id: "byFrameRefID", options: refIdOf(index) },
    properties: [
      ...(query.dashed === true ? DASHED : []),
      ...(query.unit === undefined ? [] : ownAxis(query.unit)),
      ...(query.words === undefined ? [] : [{ id: "mappings", value: mappingsOf(query.words) }]),
    ],
  }));
  const byName = Object.entries(colors).map(([name, fixedColor]) => ({
    matcher: { id: "byName", options: name },
    properties: [{ id: "color", value: { mode: "fixed", fixedColor } }],
  }));
  return [...byQuery.filter(({ properties }) => properties.length > 0), ...byName];
}

const COLORED_NUMBERS = {
  matcher: { id: "byType", options: "number" },
  properties: [{ id: "custom.cellOptions", value: { type: "color-text" } }],
} as const;

const DASHED = [
  { id: "custom.lineStyle", value: { fill: "dash", dash: [8, 8] } },
  { id: "custom.fillOpacity", value: 0 },
] as const;

function ownAxis(unit: Unit): object[] {
  return [
    { id: "unit", value: unit },
    { id: "custom.axisPlacement", value: "right" },
  ];
}

function refIdOf(index: number): string {
  return String.fromCharCode("A".charCodeAt(0) + index);
}

interface Step {
  readonly color: Color;
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

/** Several numbers in one panel leave no room for their curves. */
function optionsOf({ kind, queries }: Panel): object {
  return { ...OPTIONS[kind], ...(kind === "stat" && queries.length > 1 ? { graphMode: "none" } : {}) };
}

const OPTIONS: Readonly<Record<Panel["kind"], object>> = {
  timeseries: {
    legend: {
      displayMode: "table",
      placement: "bottom",
      showLegend: true,
      calcs: ["lastNotNull", "max"],
      // The legend shows few lines without scrolling, so the largest come first.
      sortBy: "Max",
      sortDesc: true,
    },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: {
    colorMode: "value",
    graphMode: "area",
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
  },
  table: { showHeader: true, cellHeight: "sm" },
};

/** Columns in their order under names for people; nothing else is shown. */
function arrangement(columns: Readonly<Record<string, string>>): object {
  const labels = Object.keys(columns);
  return {
    id: "organize",
    options: {
      excludeByName: { Time: true },
      indexByName: Object.fromEntries(labels.map((label, index) => [label, index])),
      renameByName: columns,
    },
  };
}
