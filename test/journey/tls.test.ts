import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { findProgram } from "../../src/config/environment.ts";
import { runCommand } from "../rig/command.ts";
import { makeAuthority, makeCertificate } from "../rig/redis/certificates.ts";
import { freePort } from "../rig/free-port.ts";
import { allDone, askAll, assertAnswered, WAYS } from "../rig/fleet/asked.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import type { FleetRedis } from "../rig/redis/fleet-redis.ts";
import { until } from "../rig/until.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";

const NAME = "redis.test";

/** A Redis that speaks TLS to those that have a certificate of its authority, and plainly to the test. */
async function tlsRedis(dir: string): Promise<FleetRedis> {
  mkdirSync(dir, { recursive: true });
  const port = await freePort();
  const authority = makeAuthority(dir, "authority");
  const own = makeCertificate(dir, authority, { name: "redis", altName: `DNS:${NAME}` });
  const client = makeCertificate(dir, authority, { name: "client", altName: "DNS:client.test" });
  const shown = [
    "--tls-cert-file",
    own.cert,
    "--tls-key-file",
    own.key,
    "--tls-ca-cert-file",
    authority.cert,
  ];
  const args = ["--appendonly", "yes", "--tls-port", String(port), "--tls-auth-clients", "yes", ...shown];
  const server = await RedisServer.start({ dir, args });
  const env = {
    REDIS_URL: `rediss://127.0.0.1:${port}`,
    SGNET_REDIS_CA_FILE: authority.cert,
    SGNET_REDIS_CERT_FILE: client.cert,
    SGNET_REDIS_KEY_FILE: client.key,
    SGNET_REDIS_SERVER_NAME: NAME,
  };
  return {
    url: server.url,
    settingsOf: () => env,
    kill: async () => server.kill(),
    startAgain: async (options) => server.startAgain(options),
    stop: async () => server.stop(),
  };
}

/** The output of a command that trusts another authority. */
async function strangerSays(fleet: Fleet, command: string): Promise<string> {
  const cwd = fleet.folder;
  const other = makeAuthority(cwd, `other-${command}`);
  const env = { ...fleet.settingsOf("gateway"), SGNET_REDIS_CA_FILE: other.cert, PORT: "0" };
  const { code, stdout, stderr } = await runCommand([command], { cwd, env });
  assert.equal(code, 1);
  return stdout + stderr;
}

const WRONG = /certificate is of an authority that is not in SGNET_REDIS_CA_FILE \(\w+\)/;

if (findProgram(["openssl"]) === undefined) {
  process.stdout.write("no journey over TLS: there is no openssl on PATH\n");
} else {
  journey(
    "a fleet speaks TLS with Redis, and a wrong authority is told",
    { redis: tlsRedis },
    async (fleet) => {
      const { standIn } = fleet.post();
      standIn.behaviour.tokenMs = 20;
      const asked = askAll(fleet.gateway, WAYS, { stream: true, tokens: 60 });
      await until("tokens", () => asked.every((one) => one.tokens > 2));
      await fleet.redis.kill();
      await fleet.redis.startAgain({ empty: false });
      await allDone(asked);
      for (const one of asked) assertAnswered(one);
      for (const command of ["status", "gateway", "doctor"]) {
        assert.match(await strangerSays(fleet, command), WRONG, command);
      }
      assert.doesNotMatch(fleet.story, /PRIVATE KEY/);
      assert.match(fleet.gateway.story, /"Redis is away".*"Redis is back"/s);
    },
  );
}
