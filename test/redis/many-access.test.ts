import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { findProgram } from "../../src/config/environment.ts";
import { connect } from "../../src/redis/connection/connect.ts";
import { refusalOf } from "../../src/redis/connection/refusal.ts";
import { until } from "../rig/until.ts";
import { makeAuthority, makeCertificate } from "../rig/redis/certificates.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { freePort } from "../rig/free-port.ts";

const NO_OPENSSL = findProgram(["openssl"]) === undefined && "there is no openssl on PATH";
const DATA = { login: ":data", access: {} };

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
    const tlsPort = await freePort();
    const tls = ["--tls-port", String(tlsPort), "--tls-cert-file", pair.cert, "--tls-key-file", pair.key];
    const more = ["--tls-ca-cert-file", authority.cert, "--tls-cluster", "yes"];
    const cluster = ["--cluster-enabled", "yes", "--requirepass", "data"];
    const node = await RedisServer.start({
      dir: join(dir, "node"),
      args: [...cluster, ...tls, ...more],
      ...DATA,
    });
    try {
      await node.ask("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
      await until("a cluster", async () => (await node.text("CLUSTER", "INFO")).includes("state:ok"));
      const url = `rediss+cluster://:data@127.0.0.1:${tlsPort}`;
      const ca = readFileSync(authority.cert, "utf8");
      const own = { cert: readFileSync(pair.cert, "utf8"), key: readFileSync(pair.key, "utf8") };
      const connection = await connect(url, "test", { tls: { ca, ...own, servername: "redis.test" } });
      await connection.command("SET", "key", "value");
      assert.equal(await node.text("GET", "key"), "value");
      connection.close();
      const plain = `redis+cluster://:other@${node.address}`;
      assert.match((await refusal(plain)) ?? "", /^it does not know this user with this password/);
      assert.match((await refusal(url)) ?? "", /^its certificate is of an authority that is not in/);
    } finally {
      await node.kill();
    }
  });

  it("of sentinels are their own", async () => {
    const master = await RedisServer.start({
      dir: join(dir, "master"),
      args: ["--requirepass", "data"],
      ...DATA,
    });
    const sentinelDir = join(dir, "sentinel");
    mkdirSync(sentinelDir);
    const file = join(sentinelDir, "sentinel.conf");
    const watched = `sentinel monitor mymaster 127.0.0.1 ${master.port} 1\nsentinel auth-pass mymaster data\n`;
    writeFileSync(file, `${watched}requirepass watch\n`);
    const sentinel = await RedisServer.start({
      dir: sentinelDir,
      args: [file, "--sentinel"],
      login: ":watch",
    });
    try {
      const url = `redis+sentinel://:data@${sentinel.address}/mymaster/3?password=watch`;
      const connection = await connect(url, "test");
      await connection.command("SET", "key", "value");
      connection.close();
      await master.ask("SELECT", "3");
      assert.equal(await master.text("GET", "key"), "value", "in the database of the URL");
      assert.match((await refusal(url.replace("watch", "data"))) ?? "", /^it does not know this user/);
      assert.match((await refusal(url.replace(":data@", ""))) ?? "", /^it wants a password/);
    } finally {
      await Promise.all([sentinel.kill(), master.kill()]);
    }
  });
});
