/** M5: time until a backend learns that its client is gone. */
import { Histogram } from "../../src/telemetry/duration-histogram.ts";
import { PATIENT, SLOW } from "../profiles.ts";
import type { Profile } from "../profiles.ts";
import { askRedis } from "../redis-wire.ts";
import { epochMs } from "../sim-log.ts";
import type { SimRequestLog } from "../sim-log.ts";
import { ask, eventually } from "./rig.ts";
import type { Backend, BehaviourResult, Rig } from "./rig.ts";

const TRIALS = 100;
const LIMIT_MS = 1000;

/** Slots of the backend in this check: all taken while clients wait in the queue. */
export const LEAVING_SLOTS = 4;

/** Lets clients leave at each point of a request's life. */
export async function leavingFindings(rig: Rig): Promise<readonly BehaviourResult[]> {
  const [backend] = rig.backends;
  if (backend === undefined) return [];
  const running = async (figure: string, profile: Profile, stream: boolean): Promise<BehaviourResult> =>
    await trials(rig, figure, (tag) => leaveRunning(rig, backend, { profile, stream, tag }));
  return [
    await running("within a stream, ms", SLOW, true),
    await running("stream, before its first token, ms", PATIENT, true),
    await running("whole answer, running, ms", SLOW, false),
    ...(await queuedFindings(rig, backend)),
  ];
}

/** @param trial returns ms from the client's leaving to its effect, undefined when there was none in time */
async function trials(
  rig: Rig,
  figure: string,
  trial: (tag: string) => Promise<number | undefined>,
): Promise<BehaviourResult> {
  const times = new Histogram();
  for (let count = 0; count < TRIALS; count += 1) {
    const ms = await trial(`${figure} ${count}`);
    if (ms !== undefined) times.record(ms * 1000);
  }
  const { count, p50, p99 } = times.percentiles();
  const missing = count === TRIALS ? "" : `, ${TRIALS - count} of ${TRIALS} not within ${LIMIT_MS / 1000} s`;
  const text =
    count === 0 ? `none within ${LIMIT_MS / 1000} s` : `p50 ${inMs(p50)}, p99 ${inMs(p99)}${missing}`;
  return { case: "M5 client leaves", figure, leg: rig.leg.name, text };
}

function inMs(us: number): string {
  return (us / 1000).toFixed(1);
}

interface LeavingRequest {
  readonly profile: Profile;
  readonly stream: boolean;
  readonly tag: string;
}

async function leaveRunning(rig: Rig, backend: Backend, asked: LeavingRequest): Promise<number | undefined> {
  const visitOf = async (): Promise<SimRequestLog | undefined> =>
    (await backend.book()).visits.find(({ tag }) => tag === asked.tag);
  const probe = ask(rig, asked.profile, asked.tag, asked.stream);
  if (asked.stream && asked.profile === SLOW) await probe.begun;
  await eventually(visitOf, LIMIT_MS);
  const at = probe.leave();
  const left = await eventually(async () => (await visitOf())?.left, LIMIT_MS);
  if (left === undefined) await backend.rule({}); // requests that still run there must not affect the next trial
  return left === undefined ? undefined : left - at;
}

/** Clients that leave while their request waits: it must go from the queue, and never come to the backend. */
async function queuedFindings(rig: Rig, backend: Backend): Promise<BehaviourResult[]> {
  const { redisPort } = rig.leg;
  if (redisPort === undefined) return [];
  const length = async (): Promise<number> =>
    Number(await askRedis(redisPort, "XLEN", `sgnet:q:{${SLOW.model}}:p0`));
  const reaches = async (wanted: number): Promise<number | undefined> =>
    await eventually(async () => ((await length()) === wanted ? epochMs() : undefined), LIMIT_MS);
  await reaches(0);
  await backend.rule({});
  const holders = Array.from({ length: LEAVING_SLOTS }, () => ask(rig, SLOW, "holder"));
  await Promise.all(holders.map((probe) => probe.begun));
  const found = await trials(rig, "queued, until it is out of the queue, ms", async (tag) => {
    const probe = ask(rig, SLOW, tag);
    await reaches(LEAVING_SLOTS + 1);
    const at = probe.leave();
    const gone = await reaches(LEAVING_SLOTS);
    return gone === undefined ? undefined : gone - at;
  });
  for (const holder of holders) holder.leave();
  const run = (await backend.book()).visits.filter(({ tag }) => tag !== "holder").length;
  return [found, { ...found, figure: "queued, run nevertheless", text: `${run} of ${TRIALS}` }];
}
