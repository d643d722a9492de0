import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { findProgram } from "../../src/config/environment.ts";
import { connect } from "../../src/redis/connect.ts";
import { refusalOf } from "../../src/redis/refusal.ts";
import { until } from "../journey/until.ts";
import { makeAuthority, makeCertificate } from "./certificates.ts";
import { RedisNode } from "./redis-node.ts";
import { steadyPort } from "./steady-port.ts";

const NO_OPENSSL = findProgram(["openssl"]) === undefined && "there is no openssl on PATH";
const DATA = { login: ":data", access: {} };
const QUIET = ["--save", "", "--loglevel", "warning"];

const dir = mkdtempSync(join(tmpdir(), "sgnet-many-"));
after(() => rmSync(dir, { recursive: true, force: true }));

async function refusal(url: string): Promise<string | undefined> {
  return connect(url, "test").then(
    (connection) => {
      connection.close();
      return "none";
    },
    (error: unknown) => refusalOf(error),
  );
}

describe("passwords and certificates", () => {
  it("let a fleet into every node of a cluster", { skip: NO_OPENSSL }, async () => {
    const tlsDir = join(dir, "tls");
    mkdirSync(tlsDir);
    const authority = makeAuthority(tlsDir, "authority");
    const pair = makeCertificate(tlsDir, authority, { name: "redis", altName: "DNS:redis.test" });
    const tlsPort = await steadyPort();
    const tls = ["--tls-port", String(tlsPort), "--tls-cert-file", pair.cert, "--tls-key-file", pair.key];
    const more = ["--tls-ca-cert-file", authority.cert, "--tls-cluster", "yes"];
    const cluster = ["--cluster-enabled", "yes", "--requirepass", "data"];
    const node = await RedisNode.start(join(dir, "node"), [...QUIET, ...cluster, ...tls, ...more], DATA);
    try {
      await node.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
      await until("a cluster", async () => (await node.tell("CLUSTER", "INFO")).includes("state:ok"));
      const url = `rediss+cluster://:data@127.0.0.1:${tlsPort}`;
      const ca = readFileSync(authority.cert, "utf8");
      const own = { cert: readFileSync(pair.cert, "utf8"), key: readFileSync(pair.key, "utf8") };
      const connection = await connect(url, "test", { tls: { ca, ...own, servername: "redis.test" } });
      await connection.command("SET", "key", "value");
      assert.equal(await node.tell("GET", "key"), "value");
      connection.close();
      const plain = `redis+cluster://:other@${node.address}`;
      assert.match((await refusal(plain)) ?? "", /^it does not know this user with this password/);
      assert.match((await refusal(url)) ?? "", /^its certificate is of an authority that is not in/);
    } finally {
      await node.kill();
    }
  });

  it("of sentinels are their own", async () => {
    const master = await RedisNode.start(join(dir, "master"), [...QUIET, "--requirepass", "data"], DATA);
    const sentinelDir = join(dir, "sentinel");
    mkdirSync(sentinelDir);
    const file = join(sentinelDir, "sentinel.conf");
    const watched = `sentinel monitor mymaster 127.0.0.1 ${master.port} 1\nsentinel auth-pass mymaster data\n`;
    writeFileSync(file, `${watched}requirepass watch\n`);
    const sentinel = await RedisNode.start(sentinelDir, [file, "--sentinel"], {
      login: ":watch",
      access: {},
    });
    try {
      const url = `redis+sentinel://:data@${sentinel.address}/mymaster/3?password=watch`;
      const connection = await connect(url, "test");
      await connection.command("SET", "key", "value");
      connection.close();
      await master.ask("SELECT", "3");
      assert.equal(await master.tell("GET", "key"), "value", "in the database of the URL");
      assert.match((await refusal(url.replace("watch", "data"))) ?? "", /^it does not know this user/);
      assert.match((await refusal(url.replace(":data@", ""))) ?? "", /^it wants a password/);
    } finally {
      await Promise.all([sentinel.kill(), master.kill()]);
    }
  });
});
