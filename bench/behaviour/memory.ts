/** M4: memory of a variant when idle, with open streams and with queued requests. */
import { setTimeout as sleep } from "node:timers/promises";
import { PARTS } from "../metrics.ts";
import { residentMb } from "../procfs.ts";
import { BRIEF, SLOW, STREAM, durationMs } from "../profiles.ts";
import { askRedis, redisMemory } from "../redis-wire.ts";
import { ask, askMany, eventually } from "./rig.ts";
import type { BehaviourResult, Rig } from "./rig.ts";

const SETTLE_MS = 2000;
/** Until a process that has little to do is at rest. */
const REST_MS = 34_000;
const QUEUED = 1000;
/** Bytes of a queued request's text: a long prompt. */
const QUEUED_BYTES = 4000;
const WATCH_MS = 3000;
/** Few enough that each token is a frame of its own. */
const FRAME_STREAMS = 100;
const LIMIT_MS = 30_000;

/** Measures a freshly started way. Nothing of the direct way, which has no process. */
export async function memoryFindings(rig: Rig, streams: number): Promise<readonly BehaviourResult[]> {
  if (Object.keys(rig.leg.pids).length === 0) return [];
  await sleep(SETTLE_MS);
  const started = residents(rig);
  await sleep(REST_MS - SETTLE_MS);
  const idle = residents(rig);
  return [
    ...rows(rig, "RSS just started, MB", started),
    ...rows(rig, "RSS idle, MB", idle),
    ...(await streamFindings(rig, idle, streams)),
    ...(await queueFindings(rig)),
  ];
}

type Residents = ReadonlyMap<string, number>;

function residents({ leg }: Rig): Residents {
  return new Map(Object.entries(leg.pids).map(([role, pid]) => [role, residentMb(pid)]));
}

function finding(rig: Rig, figure: string, text: string): BehaviourResult {
  return { case: "M4 memory", figure, leg: rig.leg.name, text };
}

/** The sum of a figure, and each process's share where there are several. */
function rows(rig: Rig, figure: string, values: Residents): BehaviourResult[] {
  const sum = [...values.values()].reduce((a, b) => a + b, 0);
  const parts = PARTS.flatMap((role) => {
    const value = values.get(role);
    return value === undefined ? [] : [finding(rig, `${figure}, ${role}`, value.toFixed(0))];
  });
  return [finding(rig, figure, sum.toFixed(0)), ...parts];
}

async function streamFindings(rig: Rig, idle: Residents, count: number): Promise<BehaviourResult[]> {
  const { redisPort } = rig.leg;
  const before = await memoryOf(redisPort);
  const probes = await askMany(rig, SLOW, count);
  await Promise.all(probes.map((probe) => probe.begun));
  await sleep(WATCH_MS);
  const open = residents(rig);
  const perStream = ((await memoryOf(redisPort)) - before) / count;
  for (const probe of probes) probe.leave();
  const perThousand = new Map(
    [...open].map(([role, mb]) => [role, ((mb - (idle.get(role) ?? 0)) * 1000) / count]),
  );
  const figure = `RSS per 1,000 open streams (of ${count.toLocaleString("en")}), MB`;
  const found = [
    ...rows(rig, `RSS with ${count.toLocaleString("en")} open streams, MB`, open),
    ...rows(rig, figure, perThousand),
  ];
  if (redisPort === undefined) return found;
  return [
    ...found,
    finding(rig, "Redis bytes per open stream, young", perStream.toFixed(0)),
    finding(rig, "Redis bytes per token of an open stream", (await bytesPerToken(rig, redisPort)).toFixed(0)),
  ];
}

/** Grown over most of a stream's life: Redis allocates the first tokens' room in advance. */
async function bytesPerToken(rig: Rig, redisPort: number): Promise<number> {
  const probes = await askMany(rig, STREAM, FRAME_STREAMS);
  await Promise.all(probes.map((probe) => probe.begun));
  const tokens = (): number => probes.reduce((sum, probe) => sum + probe.tokens, 0);
  const [tokensBefore, bytesBefore] = [tokens(), await redisMemory(redisPort)];
  await sleep(durationMs(STREAM) * 0.8);
  const [tokensAfter, bytesAfter] = [tokens(), await redisMemory(redisPort)];
  await Promise.all(probes.map((probe) => probe.done));
  return (bytesAfter - bytesBefore) / (tokensAfter - tokensBefore);
}

async function memoryOf(redisPort: number | undefined): Promise<number> {
  return redisPort === undefined ? 0 : await redisMemory(redisPort);
}

/** Fills the queue while the worker is frozen, then lets it empty the queue. */
async function queueFindings(rig: Rig): Promise<BehaviourResult[]> {
  const { redisPort, pids } = rig.leg;
  const worker = pids["worker"];
  if (redisPort === undefined || worker === undefined) return [];
  const queue = `sgnet:q:{${BRIEF.model}}:p0`;
  await sleep(SETTLE_MS); // until nothing of the streams before is left
  const before = await redisMemory(redisPort);
  process.kill(worker, "SIGSTOP");
  let used = 0;
  try {
    const text = "x".repeat(QUEUED_BYTES);
    const probes = Array.from({ length: QUEUED }, () => ask(rig, BRIEF, text, false));
    const filled = eventually(
      async () => (Number(await askRedis(redisPort, "XLEN", queue)) === QUEUED ? true : undefined),
      LIMIT_MS,
    );
    if ((await filled) === undefined) throw new Error("the queue was not filled in time");
    used = (await redisMemory(redisPort)) - before;
    process.kill(worker, "SIGCONT");
    await Promise.all(probes.map((probe) => probe.done));
  } finally {
    process.kill(worker, "SIGCONT");
  }
  const overhead = used / QUEUED - QUEUED_BYTES;
  return [finding(rig, "Redis bytes per queued request, beyond its text", overhead.toFixed(0))];
}
