/** A curve of tokens per second as inline SVG. */

const WIDTH = 300;
const HEIGHT = 60;
const NAMESPACE = "http://www.w3.org/2000/svg";

/** Time in one point of the curve (s): single seconds jump too much to read. */
const SPAN = 3;

/**
 * Draws the curve into an element.
 * @param {Element} parent
 * @param {readonly number[]} seconds tokens of each second, the newest last
 * @returns {{ now: number, most: number }} last and largest value of the curve (tokens/s)
 */
export function drawChart(parent, seconds) {
  const points = [];
  for (let end = seconds.length; end >= SPAN; end -= SPAN)
    points.unshift(mean(seconds.slice(end - SPAN, end)));
  const most = Math.max(...points);
  const step = WIDTH / Math.max(1, points.length - 1);
  const height = (/** @type {number} */ value) => HEIGHT - 2 - (value / Math.max(most, 1)) * (HEIGHT - 6);
  const line = points.map((value, index) => `${(index * step).toFixed(1)},${height(value).toFixed(1)}`);
  const svg = shape("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  svg.append(
    shape("line", { class: "floor", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }),
    shape("polygon", { class: "area", points: `0,${HEIGHT} ${line.join(" ")} ${WIDTH},${HEIGHT}` }),
    shape("polyline", { class: "curve", points: line.join(" ") }),
  );
  parent.replaceChildren(svg);
  return { now: points.at(-1) ?? 0, most };
}

/** @param {readonly number[]} numbers */
function mean(numbers) {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}
