import {
  applyFieldOverrides,
  createTheme,
  type DataFrame,
  type FieldConfigSource,
  FieldConfigOptionsRegistry,
  identityOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  type Theme,
  toDataFrame,
  transformDataFrame,
} from "@grafana/data";
import type { Props } from "react";
import type { Frame, PanelJson } from "./data.ts";

/** From what queries found to what components draw, as Grafana's panels go there. */

export const THEME: Theme = createTheme({ colors: { mode: "dark" } });
export const TIME_ZONE = "utc";

standardTransformersRegistry.setInit(() =>
  Array.from(new Set(Object.values(standardTransformers)), (one) => ({
    id: one.id,
    name: one.name,
    transformation: async () => one,
  })),
);

/** There are no variables in titles and names. */
export const keepText = (text: string): string => text;

/** Defaults of Grafana's panels, for values that the JSON lacks. */
const FALLBACK: Readonly<
  Record<string, { readonly color: string; readonly custom: Props; readonly options: Props }>
> = {
  timeseries: {
    color: "palette-classic",
    custom: {
      drawStyle: "line",
      lineInterpolation: "linear",
      lineWidth: 1,
      fillOpacity: 0,
      gradientMode: "none",
      showPoints: "auto",
      pointSize: 5,
      spanNulls: false,
      insertNulls: false,
      axisPlacement: "auto",
      axisLabel: "",
      axisColorMode: "text",
      axisBorderShow: false,
      axisCenteredZero: false,
      scaleDistribution: { type: "linear" },
      barAlignment: 0,
      hideFrom: { legend: false, tooltip: false, viz: false },
      thresholdsStyle: { mode: "off" },
      stacking: { mode: "none", group: "A" },
    },
    options: {},
  },
  stat: {
    color: "thresholds",
    custom: {},
    options: { graphMode: "area", colorMode: "value", justifyMode: "auto", textMode: "auto" },
  },
  table: {
    color: "thresholds",
    custom: { align: "auto", cellOptions: { type: "auto" }, inspect: false },
    options: { showHeader: true, cellHeight: "sm" },
  },
};

const STANDARD = [
  "unit",
  "min",
  "max",
  "decimals",
  "displayName",
  "color",
  "noValue",
  "links",
  "mappings",
  "thresholds",
  "filterable",
  "description",
];

/** The input of a component that draws a panel. */
export interface Prepared {
  readonly panel: PanelJson;
  readonly frames: readonly DataFrame[];
  readonly source: FieldConfigSource;
  readonly options: Props;
  readonly timeRange: object;
}

/** Applies a panel's transformations, field configuration and overrides to what its queries found. */
export async function prepare(
  panel: PanelJson,
  found: { readonly frames: readonly Frame[]; readonly timeRange: object },
): Promise<Prepared> {
  const fallback = FALLBACK[panel.type];
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const custom = { ...fallback?.custom, ...(defaults["custom"] as Props | undefined) };
  const source = { defaults: { color: { mode: fallback?.color }, ...defaults, custom }, overrides };
  const frames = applyFieldOverrides({
    data: await transformed(
      panel,
      found.frames.map((frame) => toDataFrame(frame)),
    ),
    fieldConfig: source,
    fieldConfigRegistry: registryFor(source),
    replaceVariables: keepText,
    theme: THEME,
    timeZone: TIME_ZONE,
  });
  const options = { ...fallback?.options, ...panel.options };
  return { panel, frames, source, options, timeRange: found.timeRange };
}

async function transformed(
  { transformations = [] }: PanelJson,
  frames: readonly DataFrame[],
): Promise<readonly DataFrame[]> {
  return new Promise((resolve) => {
    transformDataFrame(transformations, frames).subscribe(resolve);
  });
}

/** Knows the standard properties, and of the panel's own those that are set. */
function registryFor({ defaults, overrides }: FieldConfigSource): object {
  const set = (overrides as { properties: { id: string }[] }[]).flatMap(({ properties }) =>
    properties.map(({ id }) => id).filter((id) => id.startsWith("custom.")),
  );
  const own = new Set([...Object.keys(defaults["custom"] as Props).map((key) => `custom.${key}`), ...set]);
  return new FieldConfigOptionsRegistry(() => [
    ...STANDARD.map((id) => property(id, id, false)),
    ...Array.from(own, (id) => property(id, id.slice("custom.".length), true)),
  ]);
}

const shouldApply = (): boolean => true;

/** Taken as it stands in the JSON, by every field. */
function property(id: string, path: string, isCustom: boolean): object {
  return { id, path, isCustom, name: id, shouldApply, process: identityOverrideProcessor };
}
