import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { TestContext } from "node:test";
import { runLoad } from "../../src/commands/bench-load.ts";
import { BenchTarget } from "../../src/commands/bench-target.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";
import type { StandIn } from "../rig/backends/stand-in.ts";
import { newFolder, runCommand, startCommand } from "../rig/command.ts";
import type { Command } from "../rig/command.ts";
import { until } from "../rig/until.ts";
import { LocalServer } from "../rig/local-server.ts";
import { EPHEMERAL, RedisServer } from "../rig/redis/redis-server.ts";

interface Report {
  readonly model: string;
  readonly answered: number;
  readonly errors: Record<string, number>;
  readonly stopped: boolean;
  readonly completionTokens?: number;
  readonly first: { readonly count: number; readonly p50: number };
  readonly gap: { readonly count: number; readonly p50: number };
  readonly total: { readonly count: number };
}

describe("sgnet bench", () => {
  const folder = newFolder();
  const commands: Command[] = [];
  let redis: RedisServer;
  let standIn: StandIn;
  let url: string;
  let env: Readonly<Record<string, string>>;

  before(async () => {
    redis = await RedisServer.start({ dir: join(folder.path, "redis"), args: EPHEMERAL });
    standIn = await startStandIn();
    env = { REDIS_URL: redis.socketUrl, SGNET_API_KEY: "k1", SGNET_LOG_FORMAT: "json" };
    commands.push(startCommand(["worker", "--backends", standIn.url], { cwd: folder.path, env }));
    const gateway = startCommand(["gateway", "--port", "0"], { cwd: folder.path, env });
    commands.push(gateway);
    url = `http://127.0.0.1:${await gateway.see(/"port":(\d+)/)}`;
    const headers = { authorization: "Bearer k1" };
    await until("a gateway that lists the model", async () => {
      const models = await (await fetch(`${url}/v1/models`, { headers })).text();
      return models.includes("tiny");
    });
  });
  after(async () => {
    for (const { child, ended } of commands) {
      child.kill("SIGKILL");
      await ended;
    }
    await standIn.stop();
    await redis.stop();
    folder.remove();
  });

  async function bench(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return runCommand(["bench", url, ...args], { cwd: folder.path, env });
  }

  async function benchOne(given: string): ReturnType<typeof runCommand> {
    return runCommand(["bench", given, "--requests", "1", "--model", "tiny"], { cwd: folder.path, env });
  }

  it("measures streams of a gateway through both APIs, with real token counts", async () => {
    standIn.behaviour.tokenMs = 100;
    for (const dialect of ["ollama", "openai"]) {
      const { code, stdout, stderr } = await bench(
        "--dialect",
        dialect,
        "--requests",
        "6",
        "--tokens",
        "10",
        "--json",
      );
      assert.equal(code, 0, stderr);
      const report = JSON.parse(stdout) as Report;
      assert.match(report.model, /^tiny/);
      assert.equal(report.answered, 6);
      assert.deepEqual(report.errors, {});
      assert.equal(report.completionTokens, 60);
      assert.deepEqual([report.first.count, report.total.count], [6, 6]);
      assert.ok(report.gap.count > 0 && report.gap.p50 >= 30_000, JSON.stringify(report.gap));
    }
    standIn.behaviour.tokenMs = 0;
  });

  it("prints a table for people, of whole answers too", async () => {
    const { code, stdout } = await bench("--whole", "--clients", "2", "--requests", "4", "--model", "tiny");
    assert.equal(code, 0);
    assert.match(stdout, /whole answers of tiny, 2 clients/);
    assert.match(stdout, /answered +4 of 4 in/);
    assert.match(stdout, /tokens per second +[\d.]+\n/);
    assert.doesNotMatch(stdout, /first token/);
  });

  it("asks for a key where one is wanted", async () => {
    const keyless = { cwd: folder.path, env: { ...env, SGNET_API_KEY: "" } };
    const { code, stderr } = await runCommand(["bench", url, "--requests", "1"], keyless);
    assert.equal(code, 1);
    assert.match(stderr, /answers \/api\/tags with 401: it requires a key, --api-key or SGNET_API_KEY\.$/m);
  });

  it("counts what failed by its code, and tells by its own", async () => {
    const { code, stdout } = await bench("--model", "nobody-has-it", "--requests", "3", "--clients", "1");
    assert.equal(code, 1);
    assert.match(stdout, /answered +0 of 3/);
    assert.match(stdout, /failed +3 model_not_found \(.*nobody-has-it.*\)\n/);
  });

  it("Ctrl-C hangs up and shows what was measured so far", async () => {
    standIn.behaviour.tokenMs = 20;
    const args = ["bench", url, "--model", "tiny", "--clients", "1", "--requests", "100000", "--tokens", "2"];
    const command = startCommand([...args, "--json"], { cwd: folder.path, env });
    commands.push(command);
    await command.see(/Ctrl-C stops early/);
    const chats = (): number => standIn.requests.filter(({ path }) => path === "/api/chat").length;
    const earlier = chats();
    // The one that is not measured, one that is, and one more, which is hung up on.
    await until("three more chats", () => chats() >= earlier + 3);
    command.child.kill("SIGINT");
    assert.equal(await command.ended, 130);
    standIn.behaviour.tokenMs = 0;
    const report = JSON.parse(command.stdout()) as Report;
    assert.equal(report.stopped, true);
    assert.ok(report.answered >= 1 && report.answered < 100_000, command.stdout());
    assert.deepEqual(report.errors, {});
  });

  it("says what is wrong with its flags", async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [["--dialect", "latin"], /--dialect is ollama or openai, not latin/],
      [["--clients", "0"], /--clients takes a whole number above 0, not 0/],
    ];
    for (const [args, message] of wrong) {
      const { code, stderr } = await bench(...args);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });

  it("takes a URL with the path of an API, and says what else of one it cannot use", async () => {
    for (const path of ["/v1", "/api/"]) {
      const { code, stderr } = await benchOne(url + path);
      assert.equal(code, 0, stderr);
    }
    for (const rest of ["/proxy", "/proxy/v1", "/v1/models", "/?a=b"]) {
      const { code, stderr } = await benchOne(url + rest);
      assert.equal(code, 1, rest);
      assert.ok(
        stderr.includes(`${url + rest} has a path or a query that is not supported: write ${url}.`),
        stderr,
      );
    }
    const bare = url.replace("http://", "");
    const wrong = [
      [bare, `${bare} is not the URL of a server: write ${url}.`],
      ["ftp://machine", "ftp://machine is not the URL of a server: write http://host:port."],
    ] as const;
    for (const [given, message] of wrong) assert.ok((await benchOne(given)).stderr.includes(message), given);
    const { code, stderr } = await benchOne(url.replace("//", "//me:hidden@"));
    assert.equal(code, 1);
    assert.match(stderr, /must not name a user: write http:\/\/host:port/);
    assert.doesNotMatch(stderr, /hidden/);
  });
});

function targetAt(context: TestContext, url: string): BenchTarget {
  const target = new BenchTarget({ url, dialect: "ollama", key: "", connections: 1 });
  context.after(() => target.close());
  return target;
}

it("an answer that breaks off is a failure, not a short answer", async (t) => {
  const { url } = await LocalServer.forTest(t, (_request, response) => {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.end('{"model":"m","message":{"role":"assistant","content":"half"},"done":false}\n');
  });
  const load = { model: "m", stream: true, clients: 1, requests: 2, prompt: "x", maxTokens: 1 };
  const figures = await runLoad(targetAt(t, url), load, new AbortController().signal);
  assert.deepEqual([figures.answered, figures.errors], [0, { backend_lost: 2 }]);
});

it("says in a sentence why a server cannot be asked", async (t) => {
  const { url } = await LocalServer.forTest(t, (request) => request.socket.destroy());
  const ask = async (given: string): Promise<string> => targetAt(t, given).firstModel();
  await assert.rejects(ask(url), /: the connection was closed without an answer;/);
  await assert.rejects(
    ask(url.replace("http", "https")),
    (error: Error) => !/\n|openssl/i.test(error.message),
  );
  // Nothing listens on port 1 of loopback.
  await assert.rejects(ask("http://127.0.0.1:1"), /: nothing listens there\.$/);
});

it("asks a model that can chat, not the first one listed", async (t) => {
  const models = [{ name: "nomic-embed-text:latest" }, { name: "qwen3:8b" }];
  const { url } = await LocalServer.forTest(t, (_request, response) =>
    response.end(JSON.stringify({ models })),
  );
  assert.equal(await targetAt(t, url).firstModel(), "qwen3:8b");
});

it("a server of something else lists no model, and is not taken for one", async (t) => {
  const { url } = await LocalServer.forTest(t, (_request, response) => response.end("<html>hello</html>"));
  await assert.rejects(targetAt(t, url).firstModel(), /lists no model: name one with --model/);
});
