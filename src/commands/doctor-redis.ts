import { REDIS_PROGRAMS } from "../admin/redis-child.ts";
import { findProgram } from "../config/environment.ts";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import { accessOf } from "../redis/access.ts";
import { connect } from "../redis/connect.ts";
import { Keys } from "../redis/keys.ts";
import { refusalOf } from "../redis/refusal.ts";
import { programOf } from "../redis/server.ts";
import { checkRights } from "./doctor-rights.ts";
import type { Finding } from "./finding.ts";
import { withRedis } from "./redis-url.ts";

const ABOUT = "redis";

/** Whether Redis is there, new enough, and set up to keep tasks. */
export async function checkRedis(settings: Settings): Promise<readonly Finding[]> {
  const used = await withRedis(settings);
  try {
    const connection = await connect(used.redisUrl, "sgnet-doctor", accessOf(used));
    try {
      const info = judgeRedis(String(await connection.command("INFO")));
      return [...info, ...(await checkRights(connection, new Keys(settings.prefix)))];
    } finally {
      connection.close();
    }
  } catch (error) {
    return [settings.redisUrl === "" ? whatUpWillStart() : advice(noRedis(error))];
  }
}

function noRedis(error: unknown): string {
  const refusal = refusalOf(error);
  if (refusal !== undefined) return `Redis cannot be used: ${refusal}`;
  return `${toFault(error).message}: check REDIS_URL, and that Redis runs there.`;
}

function whatUpWillStart(): Finding {
  const program = findProgram(REDIS_PROGRAMS);
  if (program !== undefined)
    return { ok: true, about: ABOUT, text: `none runs: sgnet up will start ${program}` };
  return {
    ok: false,
    about: ABOUT,
    text: "none runs and none is installed: install Redis 7, or set REDIS_URL.",
  };
}

/** What the reply to INFO tells. */
export function judgeRedis(info: string): readonly Finding[] {
  const facts = new Map(info.split(/\r?\n/).map((line) => pair(line)));
  const { name, supported } = programOf(info);
  const findings: Finding[] = [
    { ok: supported, about: ABOUT, text: supported ? name : `${name}: version 7.0 or later is needed.` },
  ];
  const policy = facts.get("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction")
    findings.push(
      advice(`maxmemory-policy is ${policy}: set noeviction, or Redis throws tasks away when full.`),
    );
  if (facts.get("aof_enabled") !== "1")
    findings.push(advice("appendonly is off: set it to yes, or queued tasks are lost when Redis restarts."));
  return findings;
}

function advice(text: string): Finding {
  return { ok: false, about: ABOUT, text };
}

function pair(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1)];
}
