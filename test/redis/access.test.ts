import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findProgram } from "../../src/config/environment.ts";
import { loadSettings } from "../../src/config/load.ts";
import type { Settings } from "../../src/config/settings.ts";
import { accessOf, withoutUser } from "../../src/redis/connection/access.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import type { Connection } from "../../src/redis/connection/connection.ts";
import { OutageLog } from "../../src/redis/connection/outage-log.ts";
import { refusalOf } from "../../src/redis/connection/refusal.ts";
import { openLog } from "../../src/telemetry/log.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { freePort } from "../rig/free-port.ts";
import { makeAuthority, makeCertificate, type Pair } from "../rig/redis/certificates.ts";
import { until } from "../rig/until.ts";

const dir = mkdtempSync(join(tmpdir(), "sgnet-access-"));
after(() => rmSync(dir, { recursive: true, force: true }));

function settingsFor(flags: Readonly<Record<string, string>>): Settings {
  return loadSettings({ flags, env: {}, cwd: dir });
}

async function enter(flags: Readonly<Record<string, string>>): Promise<Connection> {
  const settings = settingsFor(flags);
  return connect(settings.redisUrl, "test", accessOf(settings));
}

/** The user of the connection by Redis. */
async function whoIs(flags: Readonly<Record<string, string>>): Promise<string> {
  const connection = await enter(flags);
  try {
    return String(await connection.command("ACL", "WHOAMI"));
  } finally {
    connection.close();
  }
}

/** The conflict between settings. */
function problemOf(flags: Readonly<Record<string, string>>): string {
  try {
    accessOf(settingsFor(flags));
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  return "";
}

/** Why it was not let in. */
async function refusal(flags: Readonly<Record<string, string>>): Promise<string | undefined> {
  try {
    (await enter(flags)).close();
  } catch (error) {
    return refusalOf(error);
  }
  throw new Error("it was let in");
}

describe("user and password of Redis", () => {
  let server: RedisServer;
  let url = "";
  const password = join(dir, "password");
  before(async () => {
    const users = join(dir, "users.acl");
    const all = "~* &* +@all";
    writeFileSync(users, `user default off\nuser ann on >pass/@ann ${all}\nuser bob on >b2 >b3 ${all}\n`);
    server = await RedisServer.start({ dir, args: ["--aclfile", users] });
    url = server.url;
  });
  after(() => server.stop());

  it("come from the URL, or from settings that are no part of it", async () => {
    const { port } = server;
    assert.equal(await whoIs({ "redis-url": `redis://ann:pass%2F%40ann@127.0.0.1:${port}` }), "ann");
    const separate = { "redis-username": "ann", "redis-password": "pass/@ann" };
    assert.equal(await whoIs({ "redis-url": url, ...separate }), "ann");
    assert.equal(await whoIs({ "redis-url": `redis://bob:no@127.0.0.1:${port}`, ...separate }), "ann");
  });

  it("may be half in the URL", async () => {
    writeFileSync(password, "pass/@ann\n");
    const half = `redis://ann@127.0.0.1:${server.port}`;
    assert.equal(await whoIs({ "redis-url": half, "redis-password-file": password }), "ann");
  });

  it("are read anew from the file at each connection", async () => {
    const flags = { "redis-url": url, "redis-username": "bob", "redis-password-file": password };
    writeFileSync(password, "b2");
    const connection = await enter(flags);
    const admin = await enter({
      "redis-url": url,
      "redis-username": "ann",
      "redis-password": "pass/@ann",
    });
    const back = new Promise<void>((resolve) => connection.onReconnect(() => resolve()));
    writeFileSync(password, "b3");
    await admin.command("ACL", "SETUSER", "bob", "<b2");
    await admin.command("CLIENT", "KILL", "USER", "bob");
    await back;
    assert.equal(String(await connection.command("ACL", "WHOAMI")), "bob");
    connection.close();
    admin.close();
  });

  it("that are wrong, missing or not readable are told in a sentence without them", async () => {
    const wrong = await refusal({ "redis-url": `redis://ann:hunter2@127.0.0.1:${server.port}` });
    assert.equal(
      wrong,
      "it does not know this user with this password: look at SGNET_REDIS_USERNAME and the password (WRONGPASS)",
    );
    const missing = join(dir, "missing");
    const gone = await refusal({ "redis-url": url, "redis-password-file": missing });
    assert.match(gone ?? "", /^SGNET_REDIS_PASSWORD_FILE cannot be read \(ENOENT/);
    const nameless = await refusal({ "redis-url": url });
    assert.match(nameless ?? "", /^it wants a password: .*\(NOAUTH\)$/);
  });

  it("that a Redis without a password is given are told as such", async () => {
    const open = await RedisServer.start({ dir: join(dir, "open") });
    try {
      const why = await refusal({ "redis-url": open.url, "redis-password": "hunter2" });
      assert.equal(why, "it has no password, but one is set for it (ERR AUTH)");
    } finally {
      await open.stop();
    }
  });

  it("are left out of what is shown of a URL", () => {
    assert.equal(withoutUser("redis+cluster://a:p@b:1,c:2"), "redis+cluster://b:1,c:2");
  });
});

const NO_OPENSSL = findProgram(["openssl"]) === undefined && "there is no openssl on PATH";

describe("TLS to Redis", { skip: NO_OPENSSL }, () => {
  let server: RedisServer;
  let tlsPort = 0;
  let authority: Pair;
  let client: Pair;
  let stranger: Pair;
  const tlsDir = join(dir, "tls");

  before(async () => {
    mkdirSync(tlsDir);
    authority = makeAuthority(tlsDir, "authority");
    stranger = makeAuthority(tlsDir, "stranger");
    const pair = makeCertificate(tlsDir, authority, { name: "redis", altName: "DNS:redis.test" });
    client = makeCertificate(tlsDir, authority, { name: "client", altName: "DNS:client.test" });
    tlsPort = await freePort();
    const own = ["--tls-cert-file", pair.cert, "--tls-key-file", pair.key];
    const rest = ["--tls-ca-cert-file", authority.cert, "--tls-auth-clients", "yes"];
    server = await RedisServer.start({ dir: tlsDir, args: ["--tls-port", String(tlsPort), ...own, ...rest] });
  });
  after(() => server.stop());

  const flags = (more: Readonly<Record<string, string>>): Record<string, string> => ({
    "redis-url": `rediss://127.0.0.1:${tlsPort}`,
    "redis-ca-file": authority.cert,
    "redis-cert-file": client.cert,
    "redis-key-file": client.key,
    "redis-server-name": "redis.test",
    ...more,
  });

  it("is spoken with an authority, a certificate of one's own, and the server's name", async () => {
    assert.equal(await whoIs(flags({})), "default");
  });

  it("is spoken again after the connection broke", async () => {
    const connection = await enter(flags({}));
    const back = new Promise<void>((resolve) => connection.onReconnect(() => resolve()));
    await server.kill();
    await server.startAgain();
    await back;
    assert.equal(String(await connection.command("PING")), "PONG");
    connection.close();
  });

  it("is refused with a wrong authority, name or certificate, and the reason told", async () => {
    const untrusted = await refusal(flags({ "redis-ca-file": stranger.cert }));
    assert.match(untrusted ?? "", /^its certificate is of an authority that is not in SGNET_REDIS_CA_FILE/);
    const misnamed = await refusal(flags({ "redis-server-name": "other.test" }));
    assert.match(misnamed ?? "", /^its certificate is for another host: see SGNET_REDIS_SERVER_NAME/);
    const naked = await refusal(flags({ "redis-cert-file": "", "redis-key-file": "" }));
    assert.match(naked ?? "", /^it wants a certificate: set SGNET_REDIS_CERT_FILE/);
  });

  it("is refused with an expired certificate", async () => {
    const name = "expired";
    const pair = makeCertificate(tlsDir, authority, { name, altName: "DNS:redis.test", days: -1 });
    const expired = await enter({ "redis-url": server.url });
    await expired.command("CONFIG", "SET", "tls-cert-file", pair.cert, "tls-key-file", pair.key);
    expired.close();
    assert.match((await refusal(flags({}))) ?? "", /^its certificate has expired/);
    await server.kill();
    await server.startAgain();
  });

  it("needs settings that fit together", () => {
    assert.equal(problemOf(flags({})), "");
    assert.match(problemOf(flags({ "redis-url": "redis://127.0.0.1:1" })), /does not begin with rediss/);
    assert.match(problemOf(flags({ "redis-key-file": "" })), /need each other/);
    assert.match(problemOf(flags({ "redis-ca-file": "/nowhere" })), /^SGNET_REDIS_CA_FILE cannot be read/);
  });
});

describe("the log of outages", () => {
  it("tells each reason once per outage, and the end", async () => {
    const lines: string[] = [];
    const server = await RedisServer.start({ dir });
    const connection = await connect(server.url, "test");
    new OutageLog(openLog({ level: "info", format: "json", write: (line) => lines.push(line) })).watch(
      connection,
    );
    for (let outage = 0; outage < 2; outage += 1) {
      let failed = 0;
      connection.onDown(() => (failed += 1));
      await server.kill();
      await until("three failures", () => failed > 2);
      const back = new Promise<void>((resolve) => connection.onReconnect(() => resolve()));
      await server.startAgain();
      await back;
    }
    connection.close();
    await server.stop();
    const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message);
    assert.deepEqual(messages, ["Redis is away", "Redis is back", "Redis is away", "Redis is back"]);
  });
});
