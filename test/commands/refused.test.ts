import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { Keys } from "../../src/redis/keys.ts";
import { urlFor, writeUsers } from "../rig/redis/shipped-users.ts";
import { openStores } from "../../src/redis/stores.ts";
import { runCommand } from "../rig/command.ts";
import { leaveUnreadable } from "../rig/dead-letter.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";

/** Words of Redis itself that no person is to be shown. */
const RAW =
  /no permissions|Authentication required|invalid username|not allowed when|can't write against|ERR /;

const dir = mkdtempSync(join(tmpdir(), "sgnet-refused-"));
const keys = new Keys("sgnet");

let server: RedisServer;
let admin: Connection;

before(async () => {
  server = await RedisServer.start({ dir, args: ["--aclfile", writeUsers(dir)] });
  admin = await connect(urlFor("sgnet-admin", server.port), "test");
  await admin.command("ACL", "SETUSER", "guest", "on", ">secret-guest", "+ping", "+info", "+client|setname");
  await admin.command("ZADD", keys.models(), String(Date.now()), "tiny");
  await leaveUnreadable(admin, keys, "tiny", Buffer.from("no task"));
});
after(async () => {
  admin.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** A worker that is there to be drained. */
async function announce(): Promise<void> {
  const process = { version: "0", host: "h", pid: 1, startedAt: 0, seenAt: Date.now() };
  await openStores(admin, keys).registry.announceWorker(
    { ...process, id: "w1", draining: false, backends: [] },
    false,
  );
}

interface Told {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(url: string, args: readonly string[]): Promise<Told> {
  return runCommand(args, { cwd: dir, env: { REDIS_URL: url, PORT: "0" } });
}

function assertTold({ code, stderr }: Told, reason: string, advice: RegExp): void {
  assert.equal(code, 1);
  assert.equal(stderr.trimEnd().split("\n").length, 1, stderr);
  assert.ok(stderr.includes(`(${reason})`), stderr);
  assert.match(stderr, advice);
  assert.doesNotMatch(stderr, RAW);
  assert.doesNotMatch(stderr, /secret-/);
}

const LOOKS: readonly (readonly string[])[] = [
  ["status"],
  ["status", "--json"],
  ["top"],
  ["trace", "order-1"],
  ["dead"],
  ["dead", "show", "1-1"],
  ["dead", "retry", "--all"],
  ["dead", "drop", "--all"],
  ["drain", "w1"],
  ["load-functions"],
];

describe("a command whose user of Redis lacks rights", () => {
  for (const args of LOOKS) {
    it(`sgnet ${args.join(" ")} says what is wrong and what to do, without Redis's words`, async () => {
      const told = await run(urlFor("guest", server.port), args);
      assertTold(
        told,
        "NOPERM",
        /^The Redis at redis:\/\/127\.0\.0\.1:\d+ cannot be used for [A-Z ]+: .*redis-setup\.md/,
      );
    });
  }

  for (const [user, args] of [
    ["sgnet-observer", ["drain", "w1"]],
    ["sgnet-observer", ["undrain", "h"]],
    ["sgnet-observer", ["dead", "drop", "--all"]],
    ["sgnet-observer", ["dead", "retry", "--all"]],
    ["sgnet-observer", ["load-functions"]],
    ["sgnet-worker", ["trace", "order-1"]],
    ["sgnet-worker", ["dead", "list"]],
  ] as const) {
    it(`${args.join(" ")} as ${user} says so, too`, async () => {
      await announce();
      assertTold(await run(urlFor(user, server.port), args), "NOPERM", /docs\/redis-setup\.md/);
    });
  }

  it("sgnet doctor names what is missing, whichever user asks", async () => {
    for (const user of ["guest", "sgnet-observer", "sgnet-worker", "sgnet-gateway"]) {
      const { stdout, stderr } = await run(urlFor(user, server.port), ["doctor"]);
      assert.doesNotMatch(stdout + stderr, RAW);
      if (user === "guest") assert.match(stdout, /fix {2}redis .*\(NOPERM\)|fix {2}redis .*lacks/);
    }
  });
});

describe("a Redis that lets no user in, or takes no writes", () => {
  it("is told by commands and services in one sentence each", async () => {
    const wrong = `redis://sgnet-gateway:wrong@127.0.0.1:${server.port}`;
    const nameless = `redis://127.0.0.1:${server.port}`;
    for (const args of [["status"], ["drain", "w1"], ["gateway"], ["worker"]]) {
      assertTold(await run(wrong, args), "WRONGPASS", /SGNET_REDIS_USERNAME/);
      assertTold(await run(nameless, args), "NOAUTH", /SGNET_REDIS_PASSWORD/);
    }
  });

  it("as a replica, or with full memory, is told by what writes", async () => {
    const url = urlFor("sgnet-admin", server.port);
    await admin.command("CONFIG", "SET", "maxmemory", "1");
    assertTold(await run(url, ["load-functions"]), "OOM", /maxmemory/);
    await admin.command("CONFIG", "SET", "maxmemory", "0");
    await admin.command("REPLICAOF", "127.0.0.1", "1");
    assertTold(await run(url, ["load-functions"]), "READONLY", /REDIS_URL/);
    await admin.command("REPLICAOF", "NO", "ONE");
  });
});
