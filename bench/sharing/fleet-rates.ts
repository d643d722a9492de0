/**
 * L1: four gateways share one rate. Seven of ten requests go to the first of them. Together they admit no more than the
 * limit and its burst, and nearly all of it.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Claim, MeasureOptions, Part } from "./claim.ts";
import { Stage } from "./stage.ts";

const GATEWAYS = 4;
/** The gateways of ten requests in turn. */
const TURN = [0, 1, 0, 0, 2, 0, 0, 3, 0, 0];

interface Load {
  readonly perMinute: number;
  /** Requests per minute as a part of the limit. */
  readonly offered: number;
  readonly seconds: number;
}

interface Admitted {
  readonly asked: number;
  readonly answers: number;
  /** From the first request to the last one (min). */
  readonly minutes: number;
}

/** Sends requests evenly, whatever their answers take. */
async function offer(stage: Stage, key: string, { perMinute, offered, seconds }: Load): Promise<Admitted> {
  const everyMs = 60_000 / (perMinute * offered);
  const count = Math.round((seconds * 1000) / everyMs);
  const begin = performance.now();
  const open: Promise<string>[] = [];
  for (let index = 0; index < count; index += 1) {
    const wait = begin + index * everyMs - performance.now();
    if (wait > 0) await delay(wait);
    open.push(outcomeOf(stage, key, TURN[index % TURN.length] ?? 0));
  }
  const minutes = (performance.now() - begin) / 60_000;
  const outcomes = await Promise.all(open);
  const other = outcomes.find((outcome) => outcome !== "answer" && outcome !== "rate_limit_exceeded");
  if (other !== undefined) throw new Error(`a request ended with ${other}`);
  return { asked: count, answers: outcomes.filter((outcome) => outcome === "answer").length, minutes };
}

async function outcomeOf(stage: Stage, key: string, gateway: number): Promise<string> {
  const { status, code } = await stage.ask({ key, maxTokens: 1 }, gateway);
  return status === 200 ? "answer" : (code ?? String(status));
}

async function claimsOf(stage: Stage, load: Load): Promise<readonly Claim[]> {
  const { perMinute, offered } = load;
  const name = `${perMinute}/min, ${Math.round(offered * 100)} % offered`;
  const key = await stage.createKey(name, "--rpm", String(perMinute));
  const { asked, answers, minutes } = await offer(stage, key, load);
  const burst = Math.max(1, Math.floor(perMinute / 6));
  const allowed = burst + perMinute * minutes;
  // A unit that is due at the very end may be given or not.
  const most = Math.floor(allowed) + 1;
  if (offered < 1) {
    return [
      {
        text: `${name}: share of ${asked} requests that was refused`,
        value: 1 - answers / asked,
        most: 0.01,
      },
    ];
  }
  return [
    {
      text: `${name}: answers beyond limit and burst (${most} of ${asked})`,
      value: Math.max(0, answers - most),
      most: 0,
    },
    { text: `${name}: answers ÷ limit and burst`, value: answers / allowed, least: 0.98 },
  ];
}

async function measure({ quick }: MeasureOptions): Promise<readonly Claim[]> {
  const stage = await Stage.open({ gateways: GATEWAYS, posts: [{ slots: 64 }] });
  try {
    const seconds = quick ? 10 : 60;
    return [
      ...(await claimsOf(stage, { perMinute: 6000, offered: 2.5, seconds })),
      ...(await claimsOf(stage, { perMinute: 6000, offered: 0.9, seconds })),
      // A pause of one second holds a unit at most: a longer run hides it less.
      ...(await claimsOf(stage, { perMinute: 60, offered: 2.5, seconds: quick ? 30 : 120 })),
    ];
  } finally {
    await stage.close();
  }
}

export const RATES: Part = { name: "l1", title: "Rates hold over four gateways", measure };
