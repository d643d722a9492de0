/** The page that draws a dashboard with Grafana's components. It runs in a browser; `packages.ts` bundles it. */
import {
  cacheFieldDisplayNames,
  type DataFrame,
  dateTime,
  type FieldDisplay,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  ThemeContext,
} from "@grafana/data";
import { initPluginTranslations } from "@grafana/i18n";
import { BigValue, GlobalStyles, PanelChrome, TimeSeries, VizRepeater } from "@grafana/ui";
import { TableNG } from "@grafana/ui/unstable";
import { createElement as make, type Props, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import type { Filled, PanelJson } from "./data.ts";
import { keepText, type Prepared, prepare, THEME, TIME_ZONE } from "./prepare.ts";

/** Sizes of Grafana's grid (px). */
const CELL = { height: 30, gap: 8, edge: 16 } as const;
const COLUMNS = 24;
const TOP_PX = 48;

/** The surface to draw on. */
interface Paper {
  readonly root: object;
  readonly widthPx: number;
  /** The document's; axes measure their labels, so fonts are there before the panels. */
  readonly fonts: { load(font: string): Promise<readonly unknown[]> };
}

/** Draws into an element of the page and resolves when React was told. */
export async function draw(dashboard: Filled, into: Paper): Promise<void> {
  await initPluginTranslations("grafana");
  const from = dateTime(dashboard.from);
  const to = dateTime(dashboard.to);
  const timeRange = { from, to, raw: { from, to } };
  const cells = await Promise.all(
    dashboard.panels.map(async ({ panel, frames }) => {
      const at = placeOf(panel, into.widthPx);
      const inner =
        panel.type === "row" ? rowTitle(panel) : chrome(await prepare(panel, { frames, timeRange }), at);
      return make("div", { key: panel.id, style: { position: "absolute", ...at } }, inner);
    }),
  );
  const bottom = Math.max(...dashboard.panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  const size = { width: into.widthPx, height: TOP_PX + bottom * (CELL.height + CELL.gap) + CELL.gap };
  const style = { position: "relative", background: THEME.colors.background.canvas, ...size };
  const sheet = make("div", { id: "dashboard", key: "dashboard", style }, headOf(dashboard), cells);
  const root = createRoot(into.root);
  root.render(styled([]));
  await loaded(into.fonts);
  root.render(styled([sheet]));
}

const TURN_MS = 10;

/** A font is known once React has set the styles that name it. */
async function loaded(fonts: Paper["fonts"]): Promise<void> {
  for (const font of ["400 12px Inter", "500 12px Inter"]) {
    for (let turn = 0; turn < 200 && (await fonts.load(font)).length === 0; turn += 1) {
      await new Promise((resolve) => setTimeout(resolve, TURN_MS)); // between two looks: no event tells that a font is named
    }
  }
}

/** Wraps elements in Grafana's colours and fonts. */
function styled(children: readonly ReactElement[]): ReactElement {
  return make(ThemeContext.Provider, { value: THEME }, make(GlobalStyles, { key: "styles" }), children);
}

interface Place {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

function placeOf({ gridPos }: PanelJson, widthPx: number): Place {
  const column = (widthPx - 2 * CELL.edge + CELL.gap) / COLUMNS;
  const row = CELL.height + CELL.gap;
  return {
    left: CELL.edge + gridPos.x * column,
    top: TOP_PX + gridPos.y * row,
    width: gridPos.w * column - CELL.gap,
    height: gridPos.h * row - CELL.gap,
  };
}

function headOf({ title, choices, from, to }: Filled): ReactElement {
  const { primary, secondary } = THEME.colors.text;
  const time = [from, to].map((ms) => dateTime(ms).format("HH:mm:ss")).join(" to ");
  const said = [...choices.map(({ label, text }) => `${label}: ${text}`), time].join("   ·   ");
  return make(
    "div",
    {
      style: {
        position: "absolute",
        left: CELL.edge,
        right: CELL.edge,
        top: 12,
        color: primary,
        display: "flex",
      },
    },
    make("span", { style: { flex: 1, fontSize: 18, fontWeight: 500 } }, title),
    make("span", { style: { color: secondary, whiteSpace: "pre" } }, said),
  );
}

function rowTitle({ title }: PanelJson): ReactElement {
  return make(
    "div",
    { style: { color: THEME.colors.text.primary, fontWeight: 500, padding: "6px 4px" } },
    title,
  );
}

function chrome(drawn: Prepared, { width, height }: Place): ReactElement {
  const { title, description } = drawn.panel;
  const draws = DRAWN_BY[drawn.panel.type];
  if (draws === undefined) throw new Error(`no component draws ${drawn.panel.type}`);
  const padding = drawn.panel.type === "stat" ? "none" : "md";
  return make(PanelChrome, { title, description, width, height, padding }, (innerWidth, innerHeight) =>
    drawn.frames.length === 0
      ? make("div", { style: { textAlign: "center", paddingTop: innerHeight / 2 - 10 } }, "No data")
      : draws(drawn, { width: innerWidth, height: innerHeight }),
  );
}

type Size = Readonly<{ width: number; height: number }>;

const DRAWN_BY: Readonly<Record<string, (drawn: Prepared, size: Size) => ReactElement>> = {
  timeseries: drawLines,
  stat: drawStat,
  table: drawTable,
};

function drawLines({ frames, options, timeRange }: Prepared, size: Size): ReactElement {
  const legend = { showLegend: true, ...(options["legend"] as Props | undefined) };
  return make(TimeSeries, {
    ...size,
    frames: frames.map(finite),
    timeRange,
    timeZone: TIME_ZONE,
    legend,
    options,
  });
}

/** Lines have a gap where Prometheus says NaN, as it does of quantiles of nothing. */
function finite(frame: DataFrame): DataFrame {
  const fields = frame.fields.map((field) => {
    const values = field.values.map((value) => (Number.isFinite(value) ? value : null));
    return { ...field, values };
  });
  return { ...frame, fields };
}

function drawStat({ frames, source, options, timeRange }: Prepared, size: Size): ReactElement {
  const { graphMode, colorMode, justifyMode, textMode, reduceOptions } = options;
  const values = getFieldDisplayValues({
    fieldConfig: source,
    reduceOptions,
    replaceVariables: keepText,
    theme: THEME,
    data: frames,
    sparkline: graphMode !== "none",
    timeZone: TIME_ZONE,
  });
  return make(VizRepeater, {
    ...size,
    getValues: () => values,
    getAlignmentFactors: getDisplayValueAlignmentFactors,
    renderValue: ({ value, ...place }: { readonly value: FieldDisplay } & Size) =>
      make(BigValue, {
        ...place,
        value: value.display,
        sparkline: value.sparkline === undefined ? undefined : { ...value.sparkline, timeRange },
        graphMode,
        colorMode,
        justifyMode,
        textMode,
        theme: THEME,
      }),
    source: frames,
    renderCounter: 1,
    autoGrid: true,
    orientation: "auto",
  });
}

function drawTable({ frames: [data], source, options }: Prepared, size: Size): ReactElement {
  if (data !== undefined) cacheFieldDisplayNames([data]);
  return make(TableNG, { ...size, data, fieldConfig: source, cellHeight: options["cellHeight"] });
}
