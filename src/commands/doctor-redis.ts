import { REDIS_PROGRAMS } from "../local-redis/redis-child.ts";
import { findProgram } from "../config/environment.ts";
import type { Settings } from "../config/settings.ts";
import { toFault } from "../core/fault.ts";
import { systemAmbient } from "../core/ambient.ts";
import type { GatewayAnnouncement } from "../core/fleet.ts";
import { AccessRecords } from "../redis/access/access-records.ts";
import { KeyAdministration } from "../redis/access/key-administration.ts";
import { accessOf } from "../redis/connection/access.ts";
import { connect } from "../redis/connection/connect.ts";
import type { Connection } from "../redis/connection/connection.ts";
import { Keys } from "../redis/keys.ts";
import { refusalOf } from "../redis/connection/refusal.ts";
import { problemOf, programOf } from "../redis/connection/server.ts";
import { Registry } from "../redis/registry.ts";
import { checkClocks } from "./doctor-clocks.ts";
import { announcedEndpoints, checkModels, learnedQuirks } from "./doctor-fleet.ts";
import { checkRights } from "./doctor-rights.ts";
import type { Finding } from "./finding.ts";
import { withRedis } from "./redis-discovery.ts";

const ABOUT = "redis";

/** Share of maxmemory from which Redis counts as nearly full. */
const NEARLY_FULL = 0.9;

export interface RedisReport {
  readonly findings: readonly Finding[];
  /** Announced gateways; empty when the Redis user may not read them, such as a worker's. */
  readonly gateways: readonly GatewayAnnouncement[];
  /** True when records of keys refuse requests without a key. False too when the Redis user may not read them. */
  readonly refusesAnonymous: boolean;
}

/** Checks Redis: it answers, is new enough and keeps tasks. Also checks the fleet that it knows. */
export async function checkRedis(settings: Settings): Promise<RedisReport> {
  const used = await withRedis(settings);
  try {
    const connection = await connect(used.redisUrl, "sgnet-doctor", accessOf(used));
    try {
      return await inspectRedis(connection, settings);
    } finally {
      connection.close();
    }
  } catch (error) {
    const finding = settings.redisUrl === "" ? whatUpWillStart() : advice(noRedis(error));
    return { findings: [finding], gateways: [], refusesAnonymous: false };
  }
}

async function inspectRedis(connection: Connection, settings: Settings): Promise<RedisReport> {
  const infos = (await connection.everywhere("INFO")).map(String);
  const keys = new Keys(settings.prefix);
  const registry = new Registry(connection, keys);
  const rights = await checkRights(connection, keys);
  const models = await checkModels(registry, settings);
  const gateways = await registry.listGateways().catch(() => []);
  const workers = await registry.listWorkers().catch(() => []);
  const administration = new KeyAdministration(new AccessRecords(connection, keys), systemAmbient.now);
  const allowsAnonymous = await administration.allowsAnonymous().catch(() => true);
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
    refusesAnonymous: !allowsAnonymous,
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

/** Findings about all masters. A finding that several masters share is listed once. @param infos replies to INFO */
export function judgeServers(infos: readonly string[], sharded: boolean): readonly Finding[] {
  const findings = infos.flatMap((info) => judgeRedis(info, sharded));
  const texts = findings.map(({ text }) => text);
  const size = sharded
    ? [{ ok: true, about: ABOUT, text: `a Redis Cluster of ${infos.length} masters` }]
    : [];
  return [...size, ...findings.filter(({ text }, index) => texts.indexOf(text) === index)];
}

/** Findings from a reply to INFO. */
export function judgeRedis(info: string, sharded = false): readonly Finding[] {
  const facts = new Map(info.split(/\r?\n/).map((line) => pair(line)));
  const problem = problemOf(info, sharded);
  const findings: Finding[] = [
    { ok: problem === undefined, about: ABOUT, text: problem ?? programOf(info).name },
  ];
  const policy = facts.get("maxmemory_policy") ?? "noeviction";
  if (policy !== "noeviction")
    findings.push(
      advice(`maxmemory-policy is ${policy}: set noeviction; otherwise a full Redis deletes tasks.`),
    );
  if (facts.get("aof_enabled") !== "1")
    findings.push(
      advice("appendonly is off: set it to yes; otherwise a restart of Redis loses queued tasks."),
    );
  return [...findings, ...judgeWrites(facts)];
}

/** Conditions in which Redis refuses writes. */
function judgeWrites(facts: ReadonlyMap<string, string>): readonly Finding[] {
  const findings: Finding[] = [];
  if (facts.get("role") === "slave")
    findings.push(advice("it is a replica, which refuses writes: set REDIS_URL to its master."));
  if (facts.get("aof_last_write_status") === "err" || facts.get("rdb_last_bgsave_status") === "err")
    findings.push(
      advice("it cannot write to its disk, so it refuses requests: check its log and the free disk space."),
    );
  const used = Number(facts.get("used_memory"));
  const most = Number(facts.get("maxmemory"));
  if (most > 0 && used > most * NEARLY_FULL)
    findings.push(advice("its memory is nearly full: raise maxmemory before it refuses requests."));
  return findings;
}

function advice(text: string): Finding {
  return { ok: false, about: ABOUT, text };
}

function pair(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1)];
}
