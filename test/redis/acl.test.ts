import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { missingRights, ROLES, samplesOf } from "../../src/redis/inspect/rights.ts";
import type { Role, SampleCommand } from "../../src/redis/inspect/rights.ts";
import {
  CLAIM,
  EMIT,
  ENQUEUE,
  HAND_BACK,
  HOLD,
  LOG,
  NOTE,
  OPEN,
  type Script,
  LEASE_SLOTS,
  TAKE,
  TAKE_PLACED,
  TIDY,
  USE,
} from "../../src/redis/scripts.ts";
import { runCommand } from "../rig/command.ts";
import { SHIPPED_USERS, urlFor, writeUsers } from "../rig/redis/shipped-users.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";

const keys = new Keys("sgnet");

/** Commands of `sgnet doctor`. */
const FOR_DOCTOR = ["acl|dryrun", "acl|whoami"];

const CONTAINERS = new Set(["client", "cluster", "xgroup", "xinfo"]);

/** As an ACL names it. */
function rightTo([command, subcommand = ""]: SampleCommand): string {
  const name = command.toLowerCase();
  return CONTAINERS.has(name) ? `${name}|${subcommand.toLowerCase()}` : name;
}

const SCRIPTS: Readonly<Record<Exclude<Role, "observer">, readonly Script[]>> = {
  gateway: [OPEN, ENQUEUE, LOG, HOLD, LEASE_SLOTS, USE],
  worker: [EMIT, CLAIM, TAKE, TAKE_PLACED, TIDY, HAND_BACK, NOTE],
};

/** Commands that no process of a fleet may run. */
const FORBIDDEN: readonly SampleCommand[] = [
  ["FLUSHALL"],
  ["FLUSHDB"],
  ["CONFIG", "GET", "*"],
  ["CONFIG", "SET", "maxmemory", "1"],
  ["KEYS", "*"],
  ["SCAN", "0"],
  ["DEBUG", "SLEEP", "0"],
  ["SHUTDOWN"],
  ["MONITOR"],
  ["ACL", "SETUSER", "eve"],
  ["ACL", "LIST"],
  ["CLIENT", "KILL", "TYPE", "normal"],
  ["REPLICAOF", "NO", "ONE"],
  ["MODULE", "LIST"],
  ["FUNCTION", "LIST"],
  ["FUNCTION", "LOAD", "#!lua name=x"],
  ["EVAL", "while true do end", "0"],
  ["EVALSHA", "", "0"],
  ["SCRIPT", "LOAD", ""],
  ["SAVE"],
  ["RENAME", "sgnet:log", "sgnet:x"],
  ["GET", "other:key"],
  ["SET", "other:key", "1"],
  ["PUBLISH", "other:channel", ""],
  ["SUBSCRIBE", "other:channel"],
  ["PSUBSCRIBE", "*"],
];

const FORBIDDEN_TO: Readonly<Record<string, readonly SampleCommand[]>> = {
  gateway: [
    ["GET", keys.body("g1.1")],
    ["XREADGROUP", "GROUP", "w", "me", "STREAMS", keys.queue("m"), ">"],
    ["XGROUP", "DESTROY", keys.queue("m"), "w"],
    ["XACK", keys.queue("m"), "w", "1"],
    ["SET", keys.worker("w1"), "{}"],
    ["XADD", keys.dead("m"), "*", "t", ""],
  ],
  worker: [
    ["XADD", keys.log(), "*", "s", ""],
    ["XRANGE", keys.log(), "-", "+"],
    ["XRANGE", keys.dead("m"), "-", "+"],
    ["SET", keys.body("g1.1"), ""],
    ["SET", keys.gateway("g1"), ""],
    ["GET", keys.workerMetrics("w1")],
    ["RPUSH", keys.doorbell("m"), "1"],
    ["GET", keys.budgets("t")],
    ["GET", keys.usage("t", "20260101")],
    ["ZRANGE", keys.usedTenants(), "0", "-1"],
  ],
  observer: [
    ["HSET", keys.budgets("t"), "d|", ""],
    ["FCALL", "", "1", keys.log()],
    ["XADD", keys.queue("m"), "*", "t", ""],
    ["DEL", keys.log()],
    ["UNLINK", keys.reply("g1.1")],
    ["PUBLISH", keys.controlAll(), "cancel g1.1"],
    ["SUBSCRIBE", keys.channel("g1")],
  ],
};

const dir = mkdtempSync(join(tmpdir(), "sgnet-acl-"));

/** The output of `sgnet doctor` for this user. */
async function doctor(server: RedisServer, user: string): Promise<string> {
  const env = { REDIS_URL: urlFor(user, server.port), PORT: "0" };
  return (await runCommand(["doctor"], { cwd: dir, env })).stdout;
}

describe("the shipped users of Redis", () => {
  let server: RedisServer;
  let admin: Connection;
  before(async () => {
    server = await RedisServer.start({ dir, args: ["--appendonly", "yes", "--aclfile", writeUsers(dir)] });
    admin = await connect(urlFor("sgnet-admin", server.port), "test");
  });
  after(async () => {
    admin.close();
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /** The samples that Redis would refuse. */
  const refused = async (
    user: string,
    samples: readonly SampleCommand[],
  ): Promise<readonly SampleCommand[]> => {
    const answers = await Promise.all(
      samples.map(async (one) => admin.command("ACL", "DRYRUN", user, ...one)),
    );
    return samples.filter((_sample, index) => String(answers[index]) !== "OK");
  };

  for (const role of ROLES) {
    const user = `sgnet-${role}`;

    it(`let one for a ${role} do what it does, and have no right besides`, async () => {
      assert.deepEqual(await missingRights(admin, keys, { user, role }), []);
      const line = SHIPPED_USERS.split("\n").find((one) => one.startsWith(`user ${user} `)) ?? "";
      // A right in brackets is one to some keys only.
      const granted = line.split(" ").flatMap((word) => /^\(?\+(.+)/.exec(word)?.[1] ?? []);
      const needed = new Set([...samplesOf(role, keys).map(rightTo), ...FOR_DOCTOR]);
      assert.deepEqual([...new Set(granted)].toSorted(), [...needed].toSorted());
    });

    it(`forbid one for a ${role} what is none of its business`, async () => {
      const samples = [...FORBIDDEN, ...(FORBIDDEN_TO[role] ?? [])];
      assert.deepEqual(await refused(user, samples), samples);
    });
  }

  it("have a right to every command of the scripts", () => {
    for (const [role, scripts] of Object.entries(SCRIPTS)) {
      const rights = new Set(samplesOf(role as Role, keys).map(rightTo));
      const sources = scripts.map(({ source }) => source).join("\n");
      const calls = Array.from(sources.matchAll(/redis\.p?call\('(\w+)'(?:, '(\w+)')?/g));
      const needed = calls.map(([, name = "", next = ""]) => rightTo([name, next]));
      const lacking = needed.filter((right) => !rights.has(right));
      assert.deepEqual(
        lacking,
        [],
        `a ${role} runs what neither docs/redis-users.acl nor src/redis/inspect/rights.ts has`,
      );
    }
  });

  it("cannot be used before they have a password, nor can the default one", async () => {
    await admin.command("ACL", "SETUSER", "sgnet-worker", "resetpass");
    const worker = connect(`redis://sgnet-worker:x@127.0.0.1:${server.port}`, "test");
    await assert.rejects(worker, { code: "redis_down" });
    await assert.rejects(connect(server.url, "test"), { code: "redis_down" });
    await admin.command("ACL", "SETUSER", "sgnet-worker", ">secret-sgnet-worker");
  });

  it("are told by sgnet doctor, with what they lack", async () => {
    assert.match(
      await doctor(server, "sgnet-worker"),
      /^ok {3}redis +user sgnet-worker has the rights of worker$/m,
    );
    assert.match(await doctor(server, "sgnet-admin"), /rights of gateway, worker, observer$/m);
    await admin.command("ACL", "SETUSER", "sgnet-gateway", "-xadd");
    const lacking = await doctor(server, "sgnet-gateway");
    await admin.command("ACL", "SETUSER", "sgnet-gateway", "+xadd");
    assert.match(
      lacking,
      /^fix {2}redis +user sgnet-gateway lacks rights of a gateway: XADD sgnet:r:\S+, XADD /m,
    );
  });

  it("let an observer look, and show it no more", async () => {
    await admin.command("ACL", "LOG", "RESET");
    const env = { REDIS_URL: urlFor("sgnet-observer", server.port) };
    const status = await runCommand(["status"], { cwd: dir, env });
    assert.equal(status.code, 0, status.stderr);
    const trace = await runCommand(["trace", "nothing"], { cwd: dir, env });
    assert.doesNotMatch(trace.stderr, /NOPERM/);
    assert.deepEqual(await admin.command("ACL", "LOG"), []);
  });
});
