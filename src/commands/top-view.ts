import type { FleetView, ModelView, NodeView } from "../gateway/monitor/fleet-view.ts";
import type { FaultsView } from "../core/recent-faults.ts";
import { greatest } from "../core/long-lists.ts";
import { keyText } from "../core/access/key-names.ts";
import { escapedLine } from "../core/escaped-text.ts";
import type { HeldTask } from "../redis/inspect/open-tasks.ts";
import { duration } from "./duration.ts";
import { renderTable } from "./table.ts";

/** Readings that `sgnet top` shows. */
export interface TopReadings {
  readonly fleet: FleetView;
  readonly faults: FaultsView;
  /** Running tasks, the longest queued first. */
  readonly held: readonly HeldTask[];
  /** Tokens per second of the fleet at each earlier reading, the newest last. */
  readonly rates: readonly number[];
  /** Tokens that tenants used today (UTC), as far as they are read; absent without tenants. */
  readonly today?: ReadonlyMap<string, number>;
  /** Ms since 1970. */
  readonly now: number;
}

export type Tone = "plain" | "title" | "quiet" | "good" | "warn" | "bad";

export interface ToneLine {
  readonly tone: Tone;
  readonly text: string;
}

/** Most requests and rates that are shown. */
const MOST_HELD = 15;
const MOST_TENANTS = 15;
const MOST_RATES = 60;

const BARS = "▁▂▃▄▅▆▇█";

/** The readings as lines of text. */
export function renderTop(readings: TopReadings): ToneLine[] {
  const { fleet, faults, held, rates, now } = readings;
  const { totals, problems } = fleet;
  const hasNames = held.some(({ keyName }) => keyName !== undefined);
  const health: ToneLine =
    totals.nodes === 0
      ? { tone: "bad", text: "Requests cannot be served" }
      : problems.length > 0
        ? { tone: "warn", text: "Needs attention" }
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
    ...problems.map((text): ToneLine => ({ tone: "warn", text: `  ${escapedLine(text)}` })),
    { tone: "plain", text: `${numbers.join(", ")}  ${sparkline(rates)}`.trimEnd() },
    ...table(
      "Models",
      ["model", "waiting", "oldest", "running", "slots", "loaded on", "tokens/s", "nodes"],
      fleet.models.map(modelRow),
    ),
    ...tenantTable(readings),
    ...table(
      "Nodes",
      ["node", "worker", "backend", "state", "busy", "loaded"],
      fleet.nodes.flatMap(nodeRows),
    ),
    ...table(
      "Running requests, of all gateways",
      ["model", "worker", "since", "delivery", ...(hasNames ? ["key"] : [])],
      held.slice(0, MOST_HELD).map((task) => heldRow(task, now, hasNames)),
    ),
    ...more(held.length - MOST_HELD),
    ...table(`Errors of the last ${duration(faults.windowMs)}`, ["code", "times"], faults.counts),
  ];
}

/** Tenants that use the fleet now, with their tokens of today. No table without keys. */
function tenantTable({ fleet: { tenants = [] }, today }: TopReadings): ToneLine[] {
  if (tenants.length === 0) return [];
  const rows = tenants
    .slice(0, MOST_TENANTS)
    .map((it) => [it.tenant, it.open, Number(rate(it.tokensPerSecond)), today?.get(it.tenant) ?? "-"]);
  const head = ["tenant", "open", "tokens/s", "tokens today"];
  return [...table("Tenants", head, rows), ...more(tenants.length - MOST_TENANTS)];
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
  if (/ {2}(?:down|failing|none)(?: {2}|$)/.test(text)) return "bad";
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
    it.nodes.length > 0 ? it.nodes.join(", ") : "none",
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

function heldRow(task: HeldTask, now: number, withName: boolean): (string | number)[] {
  const since = duration(Math.max(0, now - task.queuedAt));
  return [task.model, task.worker, since, task.deliveries, ...(withName ? [keyText(task) ?? "-"] : [])];
}

function more(count: number): ToneLine[] {
  return count > 0 ? [{ tone: "quiet", text: `  and ${count} more` }] : [];
}
