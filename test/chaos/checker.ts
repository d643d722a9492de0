import type { Asked, BackendRun, Disturbance, Ending, History } from "./history.ts";

/** A promise that was not kept. */
export interface Breach {
  readonly rule: string;
  /** The request concerned, when it is about one. */
  readonly id?: string;
  readonly what: string;
}

/**
 * Which faults explain which ending: the first parts of their names. Anything else has no excuse, nor has what befell
 * the other gateway.
 */
const EXCUSES: Readonly<Record<string, readonly string[]>> = {
  /**
   * A gateway that wakes may report its own silence as one of Redis. The fate of the task that it was queueing is then
   * uncertain.
   */
  redis_down: ["redis", "master", "gateway-cut", "gateway-stall", "gateway-freeze", "gateway-away"],
  gateway_stalled: ["gateway-stall", "gateway-freeze", "gateway-away"],
  worker_lost: ["worker", "redis-empty", "redis-power", "master", "gateway-away"],
  backend_lost: ["backend"],
  backend_error: ["backend"],
  backend_unreachable: ["backend"],
  backend_busy: ["backend-refuse"],
  draining: ["gateway-stop"],
  delivery_limit: ["worker", "backend"],
  broken: ["gateway-kill"],
  /** As when it is killed. On a connection that was used before, also as it hangs up on what has been idle too long. */
  unheard: ["gateway-kill"],
  unheard_again: ["gateway-kill", "gateway-freeze", "gateway-away"],
  unreachable: ["gateway-kill", "gateway-stop"],
};

/** Which faults may make a task run again. */
const RERUN_EXCUSES: readonly string[] = [
  "worker",
  "backend",
  "redis-empty",
  "redis-power",
  "master",
  "gateway-away",
];

/** After these a run that was fenced long ago may still reach its backend, and is stopped there. */
const DELAYS = /^(?:worker|backend)-(?:freeze|stall|slow)/;

/** A Redis that lost, or never heard of, the last claims takes a task for unclaimed that runs. */
const DOUBLES = /^(?:master|redis-power)/;

/** For so long after it was mended a fault may still be felt, ms. */
const AFTERMATH_MS = 12_000;

/** A gateway has Redis again so long after both are well, ms; another master is found within {@link AFTERMATH_MS}. */
const REDIS_AFTERMATH_MS = 3000;

/** Time after the last fault within which backends stop work that no client waits for, ms. */
const ABORT_MS = 6000;

/** So long workers believe that a gateway lives that was killed, ms: its announcement and their next look. */
const GATEWAY_MEMORY_MS = 21_000;

const MEMORY_LIMIT = 400 * 1024 * 1024;

/** Judges a whole history. An empty list: every promise was kept. */
export function judge(history: History): Breach[] {
  const runs = Map.groupBy(history.runs, (run) => run.id);
  return [
    ...history.asked.flatMap((asked) => judgeOne(asked, runs.get(asked.wish.id) ?? [], history)),
    ...history.leaks.map((what) => ({ rule: "something is left", what })),
    ...history.memory
      .filter(({ bytes }) => bytes > MEMORY_LIMIT)
      .map(({ name, bytes }) => ({ rule: "too much memory", what: `${name}: ${bytes} bytes` })),
  ];
}

function judgeOne(asked: Asked, runs: readonly BackendRun[], history: History): Breach[] {
  const { id } = asked.wish;
  const felt = history.disturbances.filter(
    ({ from, to }) => from <= asked.endedAt && to + AFTERMATH_MS >= asked.sentAt,
  );
  return [
    ...tokensOf(asked),
    ...endingOf(asked, felt),
    ...rerunsOf(asked, runs, orphaned(asked, felt) ? feltByRuns(asked, runs, history) : felt),
    ...overworkOf(asked, runs, history),
  ].map(({ rule, what }) => ({ rule, what, id }));
}

/** True for the request of a gateway that was killed: workers run its task on, and do not know for a while. */
function orphaned({ seat, ending }: Asked, felt: readonly Disturbance[]): boolean {
  if (ending === "complete" || ending === "left") return false;
  return felt.some(({ fault, target }) => fault === "gateway-kill" && target === seat);
}

/** The faults until the last run of a task began: they hit its runs, even when its client is gone. */
function feltByRuns(
  asked: Asked,
  runs: readonly BackendRun[],
  { disturbances }: History,
): readonly Disturbance[] {
  const lastAt = Math.max(asked.endedAt, ...runs.map(({ startedAt }) => startedAt));
  return disturbances.filter(({ from, to }) => from <= lastAt && to + AFTERMATH_MS >= asked.sentAt);
}

function tokensOf({ wish, tokens, deviation, ending }: Asked): Breach[] {
  if (deviation !== undefined) return [{ rule: "a wrong token", what: deviation }];
  if (ending !== "complete" || tokens === wish.tokens) return [];
  return [{ rule: "an incomplete answer that looks complete", what: `${tokens} of ${wish.tokens} tokens` }];
}

function endingOf(asked: Asked, felt: readonly Disturbance[]): Breach[] {
  const { ending } = asked;
  if (ending === "complete" || ending === "left") return [];
  // A client that left at another gateway, or a gateway that was killed, has its place for a moment.
  if (asked.key !== undefined && codeOf(asked) === "concurrency_limited") return [];
  if (ending === undefined) return [{ rule: "a request that never ended", what: "" }];
  if (ending === "silent") {
    return [{ rule: "a broken stream that ended as if well", what: `${asked.tokens} tokens` }];
  }
  const reason = reasonOf(asked, ending);
  const excuses = EXCUSES[reason] ?? [];
  const excused = felt.some(({ fault, target, to }) => {
    if (fault.startsWith("gateway") && target !== asked.seat) return false;
    const isLate = to + REDIS_AFTERMATH_MS < asked.sentAt;
    if (reason === "redis_down" && isLate && !fault.startsWith("master")) return false;
    return explains(fault, excuses);
  });
  return excused
    ? []
    : [{ rule: "an error without a cause", what: `${reason} ${asked.status}: ${asked.detail}` }];
}

/** A clock that is wrong excuses nothing, but where it is named. */
function explains(fault: string, excuses: readonly string[]): boolean {
  return excuses.some(
    (excuse) => fault === excuse || (fault.startsWith(excuse) && !fault.endsWith("-clock")),
  );
}

/** Words of errors whose log line may be missing, with their codes. */
const WORDS: Readonly<Record<string, string>> = {
  "Redis is not reachable": "redis_down",
  "Redis refuses commands now": "redis_down",
  "open requests, and has them": "concurrency_limited",
};

/** The code of an error. A killed gateway loses its line, and very many refusals have none: the client is told why. */
export function codeOf({ code, detail }: Asked): string | undefined {
  return code ?? Object.entries(WORDS).find(([words]) => detail.includes(words))?.[1];
}

function reasonOf(asked: Asked, ending: Ending): string {
  const { status, detail, reused } = asked;
  if (ending === "error") return codeOf(asked) ?? detail;
  if (ending !== "broken" || status !== 0) return ending;
  return reused ? "unheard_again" : "unheard";
}

/** A request runs again only when something broke, and never once its client has a part of the answer. */
function rerunsOf(asked: Asked, runs: readonly BackendRun[], felt: readonly Disturbance[]): Breach[] {
  const worked = runs.filter(({ outcome }) => outcome !== "refused");
  const breaches: Breach[] = [];
  const causes = felt.filter(({ fault }) => explains(fault, RERUN_EXCUSES));
  if (worked.length > 1 + causes.length) {
    const what = `${worked.length} runs, ${causes.length} faults that excuse one`;
    breaches.push({ rule: "more runs than faults", what });
  }
  const first = asked.firstTokenAt;
  const late = first === undefined ? undefined : worked.find(({ startedAt }) => startedAt > first);
  const delayed = felt.some(({ fault }) => DELAYS.test(fault));
  const doubled = felt.some(({ fault }) => DOUBLES.test(fault));
  if (late !== undefined && asked.wish.stream && !delayed && !doubled) {
    breaches.push({ rule: "run again after its answer had begun", what: `${worked.length} runs` });
  }
  const idle = runsForNobody(asked, runs);
  if (idle.length > 0 && !delayed) {
    breaches.push({ rule: "run again after its answer", what: `${worked.length} runs` });
  }
  return breaches;
}

/** Runs that began after the client had its whole answer. */
export function runsForNobody({ ending, endedAt }: Asked, runs: readonly BackendRun[]): BackendRun[] {
  if (ending !== "complete") return [];
  return runs.filter(({ startedAt, outcome }) => outcome !== "refused" && startedAt > endedAt);
}

/** Breaches by backends that work on long after the client is gone. */
function overworkOf(asked: Asked, runs: readonly BackendRun[], { disturbances }: History): Breach[] {
  return runs.flatMap((run) => {
    const since = Math.max(asked.endedAt, run.startedAt);
    const during = disturbances.filter(({ from, to }) => from <= run.endedAt && to >= since - ABORT_MS);
    const mendedAt = Math.max(since, ...during.map(({ to }) => to));
    const forgotten = during.some(
      ({ fault, target }) => fault.startsWith("gateway") && target === asked.seat,
    );
    const limit = ABORT_MS + (forgotten ? GATEWAY_MEMORY_MS : 0);
    if (run.endedAt <= mendedAt + limit) return [];
    const what = `${Math.round(run.endedAt - since)} ms after its end (${asked.ending})`;
    return [{ rule: "work for nobody", what }];
  });
}
