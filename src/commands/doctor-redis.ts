import { REDIS_PROGRAMS } from "../admin/redis-child.ts";
import { findProgram } from "../config/environment.ts";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import type { GatewayAnnouncement } from "../core/fleet.ts";
import { accessOf } from "../redis/access.ts";
import { connect } from "../redis/connect.ts";
import type { Connection } from "../redis/connection.ts";
import { Keys } from "../redis/keys.ts";
import { refusalOf } from "../redis/refusal.ts";
import { listGateways, listWorkers } from "../redis/registry.ts";
import { problemOf, programOf } from "../redis/server.ts";
import { checkClocks } from "./doctor-clocks.ts";
import { checkModels } from "./doctor-models.ts";
import { announcedEndpoints } from "./doctor-endpoints.ts";
import { learnedQuirks } from "./doctor-quirks.ts";
import { checkRights } from "./doctor-rights.ts";
import type { Finding } from "./finding.ts";
import { withRedis } from "./redis-url.ts";

const ABOUT = "redis";

/** Of maxmemory. */
const NEARLY_FULL = 0.9;

export interface RedisReport {
  readonly findings: readonly Finding[];
  /** Those that announce themselves there; empty where the user may not look, as that of a worker. */
  readonly gateways: readonly GatewayAnnouncement[];
}

/** Whether Redis is there, new enough, and set up to keep tasks, and what it knows of the fleet. */
export async function checkRedis(settings: Settings): Promise<RedisReport> {
  const used = await withRedis(settings);
  try {
    const connection = await connect(used.redisUrl, "sgnet-doctor", accessOf(used));
    try {
      return await lookInto(connection, settings);
    } finally {
      connection.close();
    }
  } catch (error) {
    const finding = settings.redisUrl === "" ? whatUpWillStart() : advice(noRedis(error));
    return { findings: [finding], gateways: [] };
  }
}

async function lookInto(connection: Connection, settings: Settings): Promise<RedisReport> {
  const infos = (await connection.everywhere("INFO")).map(String);
  const keys = new Keys(settings.prefix);
  const rights = await checkRights(connection, keys);
  const models = await checkModels(connection, keys, settings);
  const gateways = await listGateways(connection, keys).catch(() => []);
  const workers = await listWorkers(connection, keys).catch(() => []);
  const clocks = await checkClocks(connection, [...gateways, ...workers]);
  return {
    findings: [
      ...judgeServers(infos, connection.sharded),
      ...rights,
      ...clocks,
      ...models,
      ...learnedQuirks(workers),
      ...announcedEndpoints(workers),
    ],
    gateways,
  };
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

/** What the masters of a cluster have in common is told once. @param infos their replies to INFO */
export function judgeServers(infos: readonly string[], sharded: boolean): readonly Finding[] {
  const findings = infos.flatMap((info) => judgeRedis(info, sharded));
  const texts = findings.map(({ text }) => text);
  const size = sharded
    ? [{ ok: true, about: ABOUT, text: `a Redis Cluster of ${infos.length} masters` }]
    : [];
  return [...size, ...findings.filter(({ text }, index) => texts.indexOf(text) === index)];
}

/** What the reply to INFO tells. */
export function judgeRedis(info: string, sharded = false): readonly Finding[] {
  const facts = new Map(info.split(/\r?\n/).map((line) => pair(line)));
  const problem = problemOf(info, sharded);
  const findings: Finding[] = [
    { ok: problem === undefined, about: ABOUT, text: problem ?? programOf(info).name },
  ];
  const policy = facts.get("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction")
    findings.push(
      advice(`maxmemory-policy is ${policy}: set noeviction, or Redis throws tasks away when full.`),
    );
  if (facts.get("aof_enabled") !== "1")
    findings.push(advice("appendonly is off: set it to yes, or queued tasks are lost when Redis restarts."));
  return [...findings, ...judgeWrites(facts)];
}

/** What keeps Redis from taking writes. */
function judgeWrites(facts: ReadonlyMap<string, string>): readonly Finding[] {
  const findings: Finding[] = [];
  if (facts.get("role") === "slave")
    findings.push(advice("it is a replica, which takes no writes: set REDIS_URL to its master."));
  if (facts.get("aof_last_write_status") === "err" || facts.get("rdb_last_bgsave_status") === "err")
    findings.push(
      advice("it cannot write its disk, so it refuses requests: look at its log, is the disk full?"),
    );
  const used = Number(facts.get("used_memory"));
  const most = Number(facts.get("maxmemory"));
  if (most > 0 && used > most * NEARLY_FULL)
    findings.push(advice("its memory is nearly full (maxmemory): give it more, or it refuses requests."));
  return findings;
}

function advice(text: string): Finding {
  return { ok: false, about: ABOUT, text };
}

function pair(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1)];
}
