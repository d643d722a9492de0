/** Charts as SVG: horizontal bars, whole or of parts, and lines. Numbers and texts in, one document out. */

/** One bar: its parts side by side, and the figure written at its end. */
export interface Bar {
  readonly label: string;
  readonly parts: readonly { readonly name: string; readonly value: number }[];
  readonly text: string;
}

export interface BarChart {
  readonly title: string;
  /** Bars under a heading share a scale. */
  readonly groups: readonly { readonly title: string; readonly bars: readonly Bar[] }[];
}

export interface LineChart {
  readonly title: string;
  /** Labels of the x axis. */
  readonly places: readonly string[];
  readonly xTitle: string;
  readonly yTitle: string;
  /** One value above 0 per place; drawn on a logarithmic scale. */
  readonly lines: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const WIDTH = 760;
const LEFT = 150;
const RIGHT = 110;
const ROW = 22;
const HEADING = 30;
const PLOT = 300;
const COLOURS: Readonly<Record<string, string>> = {
  direct: "#8a8f98",
  floor: "#4c7fd9",
  gateway: "#d9682f",
  worker: "#3c9a6b",
  redis: "#b83a4b",
};
const FURTHER: readonly string[] = ["#7d5bbe", "#b08a1e", "#2f8f9d", "#a34d8b", "#6b7d2a", "#555555"];

/** Bars, group by group, with a legend when they have parts. */
export function barChart(chart: BarChart): string {
  const names = [
    ...new Set(
      chart.groups.flatMap(({ bars }) => bars.flatMap(({ parts }) => parts.map(({ name }) => name))),
    ),
  ];
  const split = chart.groups.some(({ bars }) => bars.some(({ parts }) => parts.length > 1));
  const pieces: string[] = [];
  let y = 44;
  if (split) {
    pieces.push(legend(names, y));
    y += 10;
  }
  for (const { title, bars } of chart.groups) {
    y += HEADING;
    pieces.push(text(16, y - 8, title, 'font-weight="600"'));
    const most = Math.max(...bars.map(total), Number.MIN_VALUE);
    for (const bar of bars) {
      pieces.push(drawBar(bar, { y, scale: (WIDTH - LEFT - RIGHT) / most, names }));
      y += ROW;
    }
  }
  return document(chart.title, y + 14, pieces);
}

/** Lines over named places. */
export function lineChart(chart: LineChart): string {
  const { places, lines } = chart;
  const values = lines.flatMap((line) => line.values).filter((value) => value > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values, 1)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values, low * 10)));
  const top = 96;
  const x = (place: number): number => 70 + (place * (WIDTH - 70 - 40)) / Math.max(1, places.length - 1);
  const y = (value: number): number =>
    top + PLOT * (1 - Math.log10(Math.max(value, low) / low) / Math.log10(high / low));
  const pieces = [
    legend(
      lines.map(({ name }) => name),
      44,
    ),
  ];
  for (let mark = low; mark <= high * 1.001; mark *= 10) {
    pieces.push(`<path d="M70 ${fixed(y(mark))}H${WIDTH - 40}" stroke="#ddd"/>`);
    pieces.push(text(62, y(mark) + 4, mark.toLocaleString("en"), 'text-anchor="end"'));
  }
  for (const [place, label] of places.entries()) {
    pieces.push(text(x(place), top + PLOT + 20, label, 'text-anchor="middle"'));
  }
  for (const [index, line] of lines.entries()) {
    const points = line.values.map((value, place) => `${fixed(x(place))},${fixed(y(value))}`);
    const colour = colourOf(line.name, index);
    pieces.push(`<polyline points="${points.join(" ")}" fill="none" stroke="${colour}" stroke-width="2"/>`);
  }
  pieces.push(
    text(16, top - 14, chart.yTitle, ""),
    text(WIDTH / 2, top + PLOT + 42, chart.xTitle, 'text-anchor="middle"'),
  );
  return document(chart.title, top + PLOT + 58, pieces);
}

function drawBar(
  bar: Bar,
  place: { readonly y: number; readonly scale: number; readonly names: readonly string[] },
): string {
  const { y, scale, names } = place;
  let x = LEFT;
  const rects = bar.parts.map(({ name, value }) => {
    const width = Math.max(0, value * scale);
    const rect = `<rect x="${fixed(x)}" y="${y}" width="${fixed(width)}" height="${ROW - 6}" fill="${colourOf(name, names.indexOf(name))}"/>`;
    x += width;
    return rect;
  });
  const middle = y + ROW - 10;
  return [
    text(LEFT - 8, middle, bar.label, 'text-anchor="end"'),
    ...rects,
    text(x + 6, middle, bar.text, ""),
  ].join("");
}

function total({ parts }: Bar): number {
  return parts.reduce((sum, { value }) => sum + value, 0);
}

function legend(names: readonly string[], y: number): string {
  let x = 16;
  return names
    .map((name, index) => {
      const item = `<rect x="${x}" y="${y}" width="12" height="12" fill="${colourOf(name, index)}"/>${text(x + 18, y + 10, name, "")}`;
      x += 40 + name.length * 8;
      return item;
    })
    .join("");
}

function colourOf(name: string, index: number): string {
  return (
    (Object.hasOwn(COLOURS, name) ? COLOURS[name] : undefined) ?? FURTHER[index % FURTHER.length] ?? "#555555"
  );
}

function text(x: number, y: number, words: string, attributes: string): string {
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${attributes}>${escaped(words)}</text>`;
}

function document(title: string, height: number, pieces: readonly string[]): string {
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
    `font-family="system-ui, sans-serif" font-size="13" fill="#222" role="img" aria-label="${escaped(title)}">\n` +
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>\n` +
    `${[text(16, 26, title, 'font-size="16" font-weight="600"'), ...pieces].join("\n")}\n</svg>\n`
  );
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}
