/** Asks Prometheus what the panels of a dashboard show, as Grafana and its Prometheus data source do. */

/** The parts of Grafana's JSON that matter for drawing; parts passed on to Grafana's code are unknown here. */
export interface DashboardJson {
  readonly title: string;
  readonly templating: { readonly list: readonly VariableJson[] };
  readonly panels: readonly PanelJson[];
}

interface VariableJson {
  readonly name: string;
  readonly label: string;
  readonly type: "datasource" | "query";
  readonly query: string | { readonly query: string };
  readonly allValue?: string;
  readonly current?: { readonly text: string; readonly value: string };
}

export interface PanelJson {
  readonly id: number;
  readonly type: "row" | "timeseries" | "stat" | "table";
  readonly title: string;
  readonly description?: string;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly targets?: readonly TargetJson[];
  readonly fieldConfig?: {
    readonly defaults: Readonly<Record<string, unknown>>;
    readonly overrides: unknown[];
  };
  readonly options?: Readonly<Record<string, unknown>>;
  readonly transformations?: readonly unknown[];
}

interface TargetJson {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat?: string;
  readonly instant?: boolean;
  readonly format?: "table";
}

/** A column of a {@link Frame}. */
export interface FrameField {
  readonly name: string;
  readonly type: "time" | "number" | "string";
  readonly labels?: Readonly<Record<string, string>>;
  readonly config: { readonly displayNameFromDS?: string; readonly interval?: number };
  readonly values: readonly (number | string)[];
}

/** The answer of a data source: Grafana's data frame as plain data. Times in ms. */
export interface Frame {
  readonly refId: string;
  readonly fields: readonly FrameField[];
}

/** A choice as it is shown above the panels. */
export interface Choice {
  readonly label: string;
  readonly text: string;
}

/** A dashboard with what its panels show. */
export interface Filled {
  readonly title: string;
  readonly choices: readonly Choice[];
  /** Unix ms. */
  readonly from: number;
  readonly to: number;
  readonly panels: readonly { readonly panel: PanelJson; readonly frames: readonly Frame[] }[];
}

/** Where and when to look. */
export interface Look {
  /** URL of a Prometheus. */
  readonly prometheus: string;
  /** Unix seconds. */
  readonly from: number;
  readonly to: number;
  /** Scrape interval of Prometheus, as set in the data source (s). */
  readonly scrapeS: number;
  /** Width of a panel as wide as the dashboard; each pixel gets a point. */
  readonly widthPx: number;
}

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [seconds: number, value: string];

interface Series {
  readonly metric: Labels;
  readonly values?: readonly Sample[];
  readonly value?: Sample;
}

const COLUMNS = 24;

/** Asks for everything that a dashboard shows. Rejects with what Prometheus finds wrong. */
export async function fill(dashboard: DashboardJson, look: Look): Promise<Filled> {
  const variables = dashboard.templating.list;
  const panels = await Promise.all(
    dashboard.panels.map(async (panel) => {
      const frames = await Promise.all(
        (panel.targets ?? []).map((target) => framesOf(target, { panel, look, variables })),
      );
      return { panel, frames: frames.flat() };
    }),
  );
  const choices = variables.map(({ label, current }) => ({ label, text: current?.text ?? "Prometheus" }));
  return { title: dashboard.title, choices, from: look.from * 1000, to: look.to * 1000, panels };
}

async function framesOf(
  target: TargetJson,
  at: { panel: PanelJson; look: Look; variables: readonly VariableJson[] },
): Promise<Frame[]> {
  const { look } = at;
  const points = (look.widthPx * at.panel.gridPos.w) / COLUMNS;
  const step = Math.max(look.scrapeS, Math.ceil((look.to - look.from) / points));
  const query = interpolate(target.expr, at.variables, Math.max(step + look.scrapeS, 4 * look.scrapeS));
  if (target.instant === true) {
    const found = await ask(look.prometheus, "query", { query, time: String(look.to) });
    return [tableOf(target.refId, found)];
  }
  const [start, end] = [look.from, look.to].map((time) => String(Math.floor(time / step) * step));
  const found = await ask(look.prometheus, "query_range", {
    query,
    start: start ?? "",
    end: end ?? "",
    step: String(step),
  });
  return found.map((series) => lineOf(target, series, step));
}

/** With `All` chosen a variable stands for its `allValue`. */
function interpolate(expr: string, variables: readonly VariableJson[], rateS: number): string {
  const filled = variables.reduce((text, variable) => {
    const value = variable.current?.value === "$__all" ? variable.allValue : variable.current?.value;
    return text.replaceAll(new RegExp(`\\$(?:${variable.name}\\b|\\{${variable.name}\\})`, "g"), value ?? "");
  }, expr);
  return filled.replaceAll("$__rate_interval", `${rateS}s`);
}

async function ask(
  prometheus: string,
  path: "query" | "query_range",
  parameters: Readonly<Record<string, string>>,
): Promise<Series[]> {
  const response = await fetch(`${prometheus}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
  const answer = (await response.json()) as { status: string; error?: string; data: { result: Series[] } };
  if (answer.status !== "success") throw new Error(`${parameters["query"]}: ${answer.error}`);
  return answer.data.result;
}

function lineOf({ refId, legendFormat }: TargetJson, { metric, values = [] }: Series, step: number): Frame {
  const name = (legendFormat ?? "").replaceAll(/\{\{\s*(\w+)\s*\}\}/g, (_all, label) => metric[label] ?? "");
  return {
    refId,
    fields: [
      {
        name: "Time",
        type: "time",
        config: { interval: step * 1000 },
        values: values.map(([time]) => time * 1000),
      },
      {
        name: "Value",
        type: "number",
        labels: metric,
        config: { displayNameFromDS: name },
        values: values.map(([, value]) => Number(value)),
      },
    ],
  };
}

function tableOf(refId: string, found: readonly Series[]): Frame {
  const labels = [...new Set(found.flatMap(({ metric }) => Object.keys(metric)))].toSorted();
  const samples = found.map(({ value }) => value ?? ([0, "NaN"] as const));
  return {
    refId,
    fields: [
      { name: "Time", type: "time", config: {}, values: samples.map(([time]) => time * 1000) },
      ...labels.map((label) => ({
        name: label,
        type: "string" as const,
        config: {},
        values: found.map(({ metric }) => metric[label] ?? ""),
      })),
      { name: "Value", type: "number", config: {}, values: samples.map(([, value]) => Number(value)) },
    ],
  };
}
