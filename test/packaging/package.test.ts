import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { after, before, describe, it } from "node:test";
import { productVersion } from "../../src/config/version.ts";
import { LARGE_BODY_BYTES } from "../../src/gateway/requests/large-bodies.ts";
import { chooseBinary } from "../../src/gateway/http/uws-binary.ts";
import { thisMachine } from "../../src/gateway/http/uws.ts";
import { RedisServer } from "../rig/redis/redis-server.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import { runCommand, startCommand, type Command } from "../rig/command.ts";
import { installPackage, type Installed } from "./installed.ts";
import { until } from "../rig/until.ts";
import { LocalServer } from "../rig/local-server.ts";

/** More than this is too much for a gateway beside a small service. */
const MOST_BYTES = 25_000_000;

const COMMANDS = [
  "up",
  "gateway",
  "worker",
  "status",
  "top",
  "trace",
  "dead",
  "bench",
  "drain",
  "undrain",
  "load-functions",
  "doctor",
];

describe("the published package", { timeout: 600_000 }, () => {
  let its: Installed;

  before(async () => (its = await installPackage()));
  after(() => its.remove());

  function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
    return startCommand(args, { cwd: its.cwd, program: its.program, env: { ...its.env, ...env } });
  }

  it("takes less than 25 MB when it is installed, and brings no other package along", () => {
    assert.ok(its.bytes < MOST_BYTES, `${its.bytes} bytes`);
    const manifest = JSON.parse(readFileSync(join(its.root, "package.json"), "utf8"));
    const { dependencies, optionalDependencies, peerDependencies, bundleDependencies } = manifest;
    assert.deepEqual(
      [dependencies, optionalDependencies, peerDependencies, bundleDependencies],
      [undefined, undefined, undefined, undefined],
    );
    assert.ok(!existsSync(join(its.root, "node_modules")));
  });

  it("holds what people look for", () => {
    for (const file of [
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "SECURITY.md",
      ".env.example",
      "docs/redis-users.acl",
      "docs/deploy/compose.yaml",
      "docs/deploy/stargazer-gateway.service",
      "grafana/dashboards/sgnet-overview.json",
      "grafana/prometheus/rules.yml",
      "dist/redis/lua/emit.lua",
      "dist/gateway/ui/page.html",
    ])
      assert.ok(its.files.includes(file), file);
  });

  it("holds nothing of the workshop", () => {
    const workshop = /\.map$|\.d\.[cm]?ts$|\.tsx?$|(?:^|\/)(?:test|tests|__tests__)\/|^(?:src|packaging)\//;
    assert.deepEqual(
      its.files.filter((file) => workshop.test(file)),
      [],
    );
  });

  it("tells the licence of each package that it carries", () => {
    const folders = new Set(
      its.files.flatMap((file) => /^dist\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
    );
    assert.ok(folders.size > 10);
    const notices = readFileSync(join(its.root, "dist/node_modules/CARRIED.md"), "utf8");
    assert.deepEqual(
      [...folders, "uWebSockets.js"].filter((folder) => !notices.includes(`\n| ${folder} | `)),
      [],
    );
    assert.doesNotMatch(notices, /not told/);
    const texts = /`([\w@/.-]+LICENSE)`/g;
    for (const [, file = ""] of notices.matchAll(texts)) {
      assert.ok(its.files.includes(`dist/node_modules/${file}`), file);
    }
  });

  it("has no page with a link to what it does not hold", () => {
    const pages = its.files.filter((file) => file.endsWith(".md") && !file.startsWith("dist/"));
    assert.ok(pages.length > 40);
    const broken = pages.flatMap((page) =>
      linksOf(readFileSync(join(its.root, page), "utf8"))
        .map((link) => normalize(join(dirname(page), link)))
        .filter((target) => target.startsWith("..") || !existsSync(join(its.root, target)))
        .map((target) => `${page} -> ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  it("tells its version and the help of each command", async () => {
    const version = await runIt(["--version"]);
    assert.deepEqual([version.code, version.stdout.trim()], [0, productVersion()]);
    const helps = await Promise.all(COMMANDS.map((command) => runIt([command, "--help"])));
    assert.deepEqual(
      helps.map(({ code, stdout }, index) => [code, stdout.startsWith(`sgnet ${COMMANDS[index]}`)]),
      COMMANDS.map(() => [0, true]),
    );
  });

  function runIt(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ReturnType<typeof runCommand> {
    return runCommand(args, { cwd: its.cwd, program: its.program, env: { ...its.env, ...env } });
  }

  it("serves with `sgnet up`, a Redis of its own and a server beside it", async () => {
    const backend = await startStandIn({ speaks: "ollama" });
    const up = start(["up", "--port", "0"], { SGNET_BACKENDS: backend.url });
    try {
      const url = await up.see(/gateway {2}(\S+?),/);
      await answers(url);
      const page = await (await fetch(`${url}/ui`)).text();
      assert.match(page, /<html/);
    } finally {
      up.child.kill("SIGINT");
      await up.ended;
      await backend.stop();
    }
    assert.equal(up.child.exitCode, 0);
  });

  it("serves with a gateway and a worker apart, with spans", async () => {
    const backend = await startStandIn({ speaks: "openai" });
    const redis = await RedisServer.start({ dir: join(its.cwd, "redis") });
    const collector = new LocalServer((_request, response) => response.end("{}"));
    await collector.listen();
    const env = { REDIS_URL: redis.url, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    const gateway = start(["gateway", "--port", "0"], env);
    const worker = start(["worker", "--backends", backend.url], env);
    try {
      const port = await gateway.see(/"port":(\d+)/);
      const health = await fetch(`http://127.0.0.1:${port}/healthz`);
      assert.equal(health.status, 200);
      assert.match(await health.text(), new RegExp(`"version":"${productVersion()}"`));
      await answers(`http://127.0.0.1:${port}`);
      assert.equal((await runIt(["load-functions"], env)).code, 0);
      const status = await runIt(["status", "--json"], env);
      assert.deepEqual([status.code, JSON.parse(status.stdout).workers.length], [0, 1]);
    } finally {
      gateway.child.kill("SIGTERM");
      worker.child.kill("SIGTERM");
      await Promise.all([gateway.ended, worker.ended]);
      await collector.stop();
      await redis.stop();
      await backend.stop();
    }
  });

  it("unpacks only this machine's HTTP binary, once, into the user's cache folder", () => {
    const names = readdirSync(join(its.env["HOME"] ?? "", ".cache/stargazer"));
    assert.deepEqual(
      names.filter((name) => name !== "compile").map((name) => name.replace(/^[0-9a-f]{16}-/, "")),
      [chooseBinary(thisMachine()).file],
    );
  });
});

/** Targets of links and pictures that are no addresses and not within the page. */
function linksOf(markdown: string): string[] {
  const text = markdown.replaceAll(/```[^]*?```/g, "");
  return [
    ...Array.from(text.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g), ([, target = ""]) => target),
    ...Array.from(text.matchAll(/\b(?:src|srcset|href)="([^"#]+)"/g), ([, target = ""]) => target),
  ].filter((target) => !/^[a-z][a-z+.-]*:/.test(target));
}

/** Resolves when the fleet has answered a small request, and one that a thread of the gateway reads. */
async function answers(url: string): Promise<void> {
  for (const content of ["Hi", "a ".repeat(LARGE_BODY_BYTES)]) {
    const body = JSON.stringify({ model: "tiny", stream: false, messages: [{ role: "user", content }] });
    const text = await until("an answer", async () => {
      const response = await fetch(`${url}/api/chat`, { method: "POST", body });
      const said = await response.text();
      return response.status === 200 ? said : undefined;
    });
    assert.match(text, /t0 t1/);
  }
}
