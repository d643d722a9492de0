/** M7: far more clients than slots: order, shares and errors when all is full. */
import { BRIEF, durationMs } from "../profiles.ts";
import { outcomes } from "./probe.ts";
import { askMany } from "./rig.ts";
import type { BehaviourResult, Rig } from "./rig.ts";

const CLIENTS = 256;
const LIMIT_MS = 30_000;

/** Slots of each backend in this check; one more request at once gets 503. */
export const FULL_SLOTS = 4;

/** Sends all requests within a quarter of a second to two backends that take eight at once. */
export async function fullFindings(rig: Rig): Promise<readonly BehaviourResult[]> {
  if (rig.leg.name === "direct") return [];
  for (const backend of rig.backends) await backend.rule({ slots: FULL_SLOTS });
  const begin = performance.now();
  const result = await outcomes(await askMany(rig, BRIEF, CLIENTS), LIMIT_MS);
  const seconds = (performance.now() - begin) / 1000;
  const books = await Promise.all(rig.backends.map((backend) => backend.book()));
  const visits = books.flatMap((book) => book.visits).toSorted((a, b) => a.at - b.at);
  const overtaken = Math.max(0, ...visits.map(({ tag }, place) => place - Number(tag)));
  const ideal = (CLIENTS / (FULL_SLOTS * books.length)) * durationMs(BRIEF);
  const row = (figure: string, text: string): BehaviourResult => ({
    case: `M7 ${CLIENTS} clients, ${books.length} × ${FULL_SLOTS} slots`,
    figure,
    leg: rig.leg.name,
    text,
  });
  return [
    row("replies", result),
    row(`seconds for all (${(ideal / 1000).toFixed(1)} at best)`, seconds.toFixed(1)),
    row("requests per backend", books.map((book) => book.visits.length).join(" + ")),
    row("most at once per backend", books.map(({ most }) => most).join(" and ")),
    row("503 by backends", String(books.reduce((sum, { refused }) => sum + refused, 0))),
    row("most places a request was overtaken by", String(overtaken)),
  ];
}
