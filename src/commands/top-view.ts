import type { FleetView, ModelView, NodeView } from "../core/fleet-view.ts";
import type { FaultsView } from "../core/recent-faults.ts";
import { greatest } from "../core/long-lists.ts";
import { plainLine } from "../core/plain-text.ts";
import type { HeldTask } from "../redis/open-task.ts";
import { duration } from "./duration.ts";
import { renderTable } from "./table.ts";

/** What `sgnet top` shows. */
export interface Picture {
  readonly fleet: FleetView;
  readonly faults: FaultsView;
  /** The longest queued first. */
  readonly held: readonly HeldTask[];
  /** Tokens per second of the fleet at each earlier look, the newest last. */
  readonly rates: readonly number[];
  /** Ms since 1970. */
  readonly now: number;
}

export type Tone = "plain" | "title" | "quiet" | "good" | "warn" | "bad";

export interface ToneLine {
  readonly tone: Tone;
  readonly text: string;
}

/** Requests and rates shown at most. */
const MOST_HELD = 15;
const MOST_RATES = 60;

const BARS = "▁▂▃▄▅▆▇█";

/** The picture as lines of text. */
export function describe(picture: Picture): ToneLine[] {
  const { fleet, faults, held, rates, now } = picture;
  const { totals, problems } = fleet;
  const health: ToneLine =
    totals.nodes === 0
      ? { tone: "bad", text: "Requests cannot be served" }
      : problems.length > 0
        ? { tone: "warn", text: "Needs a look" }
        : { tone: "good", text: "All is well" };
  const numbers = [
    counted(totals.gateways, "gateway"),
    counted(totals.nodes, "node"),
    `${totals.busy} of ${totals.slots} slots busy`,
    ...(totals.finishing > 0 ? [`${totals.finishing} finishing`] : []),
    `${totals.waiting} waiting`,
    `${totals.claimed} running`,
    `${rate(totals.tokensPerSecond)} tokens/s`,
  ];
  return [
    { tone: "title", text: "Stargazer" },
    health,
    ...problems.map((text): ToneLine => ({ tone: "warn", text: `  ${plainLine(text)}` })),
    { tone: "plain", text: `${numbers.join(", ")}  ${sparkline(rates)}`.trimEnd() },
    ...table(
      "Models",
      ["model", "waiting", "oldest", "running", "slots", "loaded on", "tokens/s", "nodes"],
      fleet.models.map(modelRow),
    ),
    ...table(
      "Nodes",
      ["node", "worker", "backend", "state", "busy", "loaded"],
      fleet.nodes.flatMap(nodeRows),
    ),
    ...table(
      "Running requests, of all gateways",
      ["model", "worker", "since", "delivery"],
      held.slice(0, MOST_HELD).map((task) => heldRow(task, now)),
    ),
    ...more(held.length - MOST_HELD),
    ...table(`Errors of the last ${duration(faults.windowMs)}`, ["code", "times"], faults.counts),
  ];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function rate(tokens: number): string {
  return tokens < 10 ? String(Math.round(tokens * 10) / 10) : String(Math.round(tokens));
}

function sparkline(rates: readonly number[]): string {
  const shown = rates.slice(-MOST_RATES);
  const most = greatest([...shown, 1]);
  return shown.map((value) => BARS[Math.round((value / most) * (BARS.length - 1))] ?? "").join("");
}

function table(
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): ToneLine[] {
  const lines = renderTable(title, head, rows).trimEnd().split("\n");
  const toned = lines.map((text, index): ToneLine => ({ tone: toneOf(text, index), text }));
  return [{ tone: "plain", text: "" }, ...toned];
}

function toneOf(text: string, index: number): Tone {
  if (index === 0) return "title";
  if (index === 1) return "quiet";
  if (/ {2}(?:down|failing|nobody)(?: {2}|$)/.test(text)) return "bad";
  return / {2}(?:draining|silent) {2}/.test(text) ? "warn" : "plain";
}

function modelRow(it: ModelView): (string | number)[] {
  return [
    it.model,
    it.waiting,
    it.waiting > 0 ? duration(it.oldestWaitMs) : "-",
    it.claimed,
    it.slots,
    `${it.resident} of ${it.backends}`,
    Number(rate(it.tokensPerSecond)),
    it.nodes.length > 0 ? it.nodes.join(", ") : "nobody",
  ];
}

function nodeRows(node: NodeView): (string | number)[][] {
  return node.backends.map((it) => [
    node.host,
    node.worker,
    it.name,
    it.state,
    `${it.busy} of ${it.slots}`,
    [it.resident.join(", ") || "-", ...(it.placed === undefined ? [] : [it.placed])].join("; "),
  ]);
}

function heldRow(task: HeldTask, now: number): (string | number)[] {
  return [task.model, task.worker, duration(Math.max(0, now - task.queuedAt)), task.deliveries];
}

function more(count: number): ToneLine[] {
  return count > 0 ? [{ tone: "quiet", text: `  and ${count} more` }] : [];
}
