/** Words of the house that were retired for the trade's words. */

/** Never in code, comments or pages. A phrase has its words in this order. */
export const RETIRED: Readonly<Record<string, string>> = {
  allowance: "byte quota",
  "board gauges": "gauges",
  "client face": "client codec",
  comeback: "failover sync",
  crew: "assembly",
  doubts: "failover guard",
  era: "generation",
  errand: "management request",
  farewell: "interrupt key",
  "hand back": "requeue",
  "handed back": "requeued",
  "handing back": "requeueing",
  "hands back": "requeues",
  "lean start": "process flags",
  "lone board": "headless gateway",
  observatory: "monitoring",
  porch: "outage buffer",
  recruit: "build",
  refuser: "rejecter",
  resumer: "reclaim handler",
  returner: "requeuer",
  "server face": "server codec",
  sifted: "filtered",
  station: "backend slots",
  switchboard: "dispatcher",
  tidier: "janitor",
  witness: "task observer",
};

/** Plain English in a sentence, retired as a name of a file or an export. */
export const RETIRED_NAMES: Readonly<Record<string, string>> = {
  board: "dispatcher",
  brake: "backpressure",
  desk: "backend",
  door: "guard",
  elf: "glibc patch",
  face: "codec",
  gate: "circuit breaker",
  keeper: "lease renewer",
  look: "check, poll or read",
  opener: "enqueuer",
  opening: "request head",
  peers: "fleet lookup",
  place: "slot lease, queue key, …",
  pulse: "timer",
  reach: "backend support",
  rest: "cooldown",
  resting: "cooldowns",
  roll: "attempt registry",
  sift: "filter",
  story: "timeline",
  tail: "pending write",
  tell: "report or notify",
  telling: "meaningful",
  told: "reported",
  trust: "lease judge",
  visit: "permit",
};

/** Names on the wire, of scripts and of decisions keep their words. */
const KEPT = /HAND_BACK|hand-back\.lua|"hand-back"|docs\/decisions\/[\w.*-]+|decisions\/[\w.-]+\.md/g;

/** @returns the retired words of a text, each with its line */
export function retiredIn(text: string): string[] {
  return text.split("\n").flatMap((line, index) => {
    const words = line
      .replaceAll(KEPT, "")
      .replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, " ")
      .split(/[^A-Za-z]+/)
      .filter((word) => word !== "")
      .map((word) => word.toLowerCase());
    const padded = ` ${words.join(" ")} `;
    return Object.keys(RETIRED)
      .filter((word) => padded.includes(` ${word} `) || padded.includes(` ${word}s `))
      .map((word) => `${index + 1}: ${word} (say ${RETIRED[word]})`);
  });
}
