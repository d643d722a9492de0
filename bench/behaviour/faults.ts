/** M6: effects on clients when one of two backends is killed, hangs, or fails. */
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENT, SHORT, STREAM } from "../profiles.ts";
import { outcomes } from "./probe.ts";
import { ask, askMany, eventually } from "./rig.ts";
import type { Backend, BehaviourResult, Rig } from "./rig.ts";

const CLIENTS = 40;
const FAILING_REQUESTS = 100;
const AT_ONCE = 10;
/** A lease (10 s) and more; no healthy reply takes a fifth of this. */
const LIMIT_MS = 15_000;
const REVIVAL_LIMIT_S = 25;

/** Brings each fault upon one of the rig's two backends. Nothing of the direct way, which has one. */
export async function faultFindings(rig: Rig): Promise<readonly BehaviourResult[]> {
  const [victim] = rig.backends;
  if (victim === undefined || rig.leg.name === "direct") return [];
  const found: BehaviourResult[] = [];
  for (const [figure, check] of CHECKS) {
    found.push({ case: "M6 one of two backends", figure, leg: rig.leg.name, text: await check(rig, victim) });
  }
  return found;
}

type Check = (rig: Rig, victim: Backend) => Promise<string>;

const CHECKS: readonly (readonly [string, Check])[] = [
  [`killed before the first tokens of ${CLIENTS} streams`, killedEarly],
  ["until it is used again after its restart", revival],
  [`killed in the middle of ${CLIENTS} streams`, killedMidway],
  [`frozen before ${CLIENTS} streams`, frozen],
  [`answers 500: of ${FAILING_REQUESTS} requests`, failing],
];

async function killedEarly(rig: Rig, victim: Backend): Promise<string> {
  const probes = await askMany(rig, PATIENT, CLIENTS);
  await sleep(PATIENT.firstMs / 2);
  victim.signal("SIGKILL");
  return await outcomes(probes, LIMIT_MS);
}

/** Time from a restart to the first request that comes to the backend, while requests come all the time. */
async function revival(rig: Rig, victim: Backend): Promise<string> {
  await victim.restart();
  const begin = performance.now();
  const used = await eventually(async () => {
    await ask(rig, SHORT, "is it there").done;
    const { visits } = await victim.book();
    return visits.length > 0 ? performance.now() - begin : undefined;
  }, REVIVAL_LIMIT_S * 1000);
  return used === undefined ? `not within ${REVIVAL_LIMIT_S} s` : `${(used / 1000).toFixed(1)} s`;
}

async function killedMidway(rig: Rig, victim: Backend): Promise<string> {
  const probes = await askMany(rig, STREAM, CLIENTS);
  await Promise.all(probes.map((probe) => probe.begun));
  await sleep(STREAM.gapMs * 10);
  victim.signal("SIGKILL");
  const text = await outcomes(probes, LIMIT_MS);
  await revival(rig, victim);
  return text;
}

async function frozen(rig: Rig, victim: Backend): Promise<string> {
  victim.signal("SIGSTOP");
  const text = await outcomes(await askMany(rig, SHORT, CLIENTS), LIMIT_MS);
  victim.signal("SIGCONT");
  await revival(rig, victim);
  return text;
}

async function failing(rig: Rig, victim: Backend): Promise<string> {
  await victim.rule({ status: 500 });
  const probes = [];
  while (probes.length < FAILING_REQUESTS) {
    const some = Array.from({ length: AT_ONCE }, () => ask(rig, SHORT, "failing", false));
    await Promise.all(some.map((probe) => probe.done));
    probes.push(...some);
  }
  return await outcomes(probes, LIMIT_MS);
}
