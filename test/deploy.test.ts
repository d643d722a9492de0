import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SETTINGS } from "../src/config/settings.ts";

const DEPLOY = join(import.meta.dirname, "../docs/deploy");

function read(file: string): string {
  return readFileSync(join(DEPLOY, file), "utf8");
}

/** Sample settings of proxies. test/journey/balancers.test.ts runs the first three. */
const SAMPLES = ["haproxy.cfg", "nginx.conf", "Caddyfile", "traefik.yaml", "traefik-gateways.yaml"];

describe("the samples for proxies", () => {
  const texts = SAMPLES.map((file) => [file, read(file)] as const);

  it("name settings that exist", () => {
    const known = new Set(Object.values(SETTINGS).map(({ env }) => env));
    for (const [file, text] of texts) {
      const named = text.match(/\bSGNET_\w+/g) ?? [];
      assert.deepEqual(
        named.filter((name) => !known.has(name)),
        [],
        file,
      );
    }
  });

  it("take bodies as large as a gateway does", () => {
    assert.equal(Number(SETTINGS.maxBodyBytes.default), 64 * 1024 * 1024);
    assert.match(read("nginx.conf"), /client_max_body_size 64m;/);
    assert.match(read("Caddyfile"), /max_size 64MiB/);
  });

  it("ask /readyz where they can, keep metrics inside, and send no question twice", () => {
    for (const file of ["haproxy.cfg", "Caddyfile", "traefik-gateways.yaml"]) {
      assert.match(read(file), /^[^#\n]*\/readyz/m, file);
    }
    for (const file of ["haproxy.cfg", "nginx.conf", "Caddyfile", "traefik-gateways.yaml"]) {
      assert.match(read(file), /^[^#\n]*\/metrics/m, file);
    }
    const said = texts.map(([, text]) => text.replace(/#.*/g, "")).join("\n");
    assert.doesNotMatch(said, /non_idempotent|empty-response|lb_retry_match|retry:|http_503|flush_interval/);
  });

  it("give up idle connections well before a gateway stops", () => {
    const graceMs = 10_000;
    for (const [file, idle] of [
      ["haproxy.cfg", /pool-purge-delay (\d+)s/],
      ["nginx.conf", /keepalive_timeout (\d+)s/],
      ["Caddyfile", /keepalive (\d+)s/],
      ["traefik-gateways.yaml", /idleConnTimeout: (\d+)s/],
    ] as const) {
      assert.ok(Number(idle.exec(read(file))?.[1]) * 2000 < graceMs, file);
      if (file !== "traefik-gateways.yaml") assert.match(read(file), /SGNET_DRAIN_GRACE_MS=10000/, file);
    }
  });

  it("of Traefik hold together: what one half names the other has", () => {
    const [fixed, moving] = [read("traefik.yaml"), read("traefik-gateways.yaml")];
    for (const text of [fixed, moving]) assert.doesNotMatch(text, /\t/);
    assert.match(fixed, /^entryPoints:\n {2}llm:$/m);
    assert.match(moving, /entryPoints: \[llm\]/);
    assert.match(fixed, /^certificatesResolvers:\n {2}letsencrypt:$/m);
    assert.match(moving, /certResolver: letsencrypt/);
    assert.match(fixed, /filename: \/etc\/traefik\/traefik-gateways\.yaml/);
    assert.match(moving, /service: gateways\n[^]*^ {2}services:\n {4}gateways:$/m);
    assert.match(moving, /serversTransport: gateways\n[^]*^ {2}serversTransports:\n {4}gateways:$/m);
  });
});

describe("the files to deploy with", () => {
  const units = ["gateway", "worker"].map((name) => [name, read(`stargazer-${name}.service`)] as const);

  it("run commands that exist, and let them drain", () => {
    for (const [name, unit] of units) {
      assert.match(unit, new RegExp(`^ExecStart=\\S+/node src/cli\\.ts ${name}$`, "m"));
      const seconds = Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]);
      assert.ok(seconds * 1000 > Number(SETTINGS.drainMs.default), name);
    }
    const grace = Number(/stop_grace_period: (\d+)s/.exec(read("compose.yaml"))?.[1]);
    assert.ok(grace * 1000 > Number(SETTINGS.drainMs.default));
  });

  it("name settings that exist, and set no key to nothing", () => {
    const known = new Set(Object.values(SETTINGS).map(({ env }) => env));
    const text = [...units.map(([, unit]) => unit), read("compose.yaml")].join("\n");
    const named = text.match(/\b(?:SGNET_\w+|REDIS_URL)\b/g) ?? [];
    assert.deepEqual(
      named.filter((name) => !known.has(name)),
      [],
    );
    assert.match(read("compose.yaml"), /^ +SGNET_API_KEY:$/m);
  });
});
