import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { SETTINGS } from "../../src/config/settings.ts";
import { productVersion } from "../../src/config/version.ts";
import { newFolder, runCommand } from "../rig/command.ts";

describe("the command line", () => {
  const folder = newFolder();
  const cwd = folder.path;
  after(() => folder.remove());

  it("tells each setting's flag, variable and default in the help of what they are for", async () => {
    for (const command of ["up", "gateway", "worker", "doctor"]) {
      const { code, stdout } = await runCommand([command, "--help"], { cwd });
      assert.equal(code, 0);
      const help = stdout.replaceAll(/\s+/g, " ");
      for (const { env, flag } of Object.values(SETTINGS)) {
        assert.ok(help.includes(`--${flag} `), `${command} --help has --${flag}`);
        assert.ok(help.includes(`[${env}]`), `${command} --help has ${env}`);
      }
      assert.match(help, /Default: 3000\./);
    }
  });

  it("tells a command's own options first, and then no setting that means nothing to it", async () => {
    for (const [command, own, setting] of [
      ["status", "--json ", "--redis-url "],
      ["dead", "--body ", "--prefix "],
      ["bench", "--clients ", "--api-key "],
    ] as const) {
      const { stdout } = await runCommand([command, "--help"], { cwd });
      assert.ok(stdout.includes(own) && stdout.indexOf(own) < stdout.indexOf(setting), `${command} --help`);
      assert.doesNotMatch(stdout, /--lease-ms|--otlp/);
    }
    const { code } = await runCommand(["bench", "nonsense", "--lease-ms", "5000"], { cwd });
    assert.equal(code, 1, "a setting of others is taken");
    const all = await runCommand(["status", "--help", "--show-hidden"], { cwd });
    assert.match(all.stdout, /--lease-ms/);
  });

  it("tells its version, and help, by their short names, too", async () => {
    for (const flag of ["--version", "-v"]) {
      const { code, stdout } = await runCommand([flag], { cwd });
      assert.deepEqual([code, stdout.trim()], [0, productVersion()]);
    }
    for (const args of [["-h"], ["--help"]]) {
      const { code, stdout } = await runCommand(args, { cwd });
      assert.equal(code, 0);
      assert.match(stdout, /Commands:[^]*sgnet top[^]*Examples:[^]*Exit codes: 0 /);
    }
    const { stdout } = await runCommand(["drain", "-h"], { cwd });
    assert.match(stdout, /--json[^]*Examples:\s+sgnet drain gpu1/);
  });

  it("has examples in the help of every command, and JSON from every one that prints what programs may want", async () => {
    const services = ["up", "gateway", "worker"];
    const tools = ["status", "top", "trace", "dead", "bench", "drain", "undrain", "load-functions", "doctor"];
    for (const command of [...services, ...tools]) {
      const { code, stdout } = await runCommand([command, "--help"], { cwd });
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`Examples:\\s+sgnet ${command}`), command);
      assert.equal(stdout.includes("--json "), tools.includes(command), command);
    }
  });

  it("tells a failure with --json as a document with a stable code", async () => {
    for (const [args, code, message] of [
      [["status", "--json", "--redis-url", "redis://127.0.0.1:1"], "redis_down", /^There is no Redis/],
      [["status", "--json", "--lease-ms", "no"], "settings", /^--lease-ms must be/],
      [["drain", "--json"], "failed", /^A worker is missing/],
      [["stauts", "--json"], "failed", /^Unknown command: stauts/],
    ] as const) {
      const told = await runCommand(args, { cwd });
      const { error } = JSON.parse(told.stdout) as { error: { code: string; message: string } };
      assert.equal(error.code, code);
      assert.match(error.message, message);
      assert.equal(told.stderr, `${error.message}\n`);
      assert.equal(told.code, 1);
    }
  });

  const MISTAKES: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["a missing command", [], /^A command is missing\. Try sgnet --help\.\n$/],
    ["an unknown command", ["serve"], /^Unknown command: serve\. Try sgnet --help\.\n$/],
    [
      "an unknown flag",
      ["gateway", "--prot", "1"],
      /^Unknown argument: prot\. Did you mean --port\? Try sgnet gateway --help\.\n$/,
    ],
    [
      "a misspelt command",
      ["wroker"],
      /^Unknown command: wroker\. Did you mean sgnet worker\? Try sgnet --help\.\n$/,
    ],
    ["a command in capitals", ["STATUS"], /^Unknown command: STATUS\. Did you mean sgnet status\?/],
    ["an option in capitals", ["status", "--JSON"], /^Unknown argument: JSON\. Did you mean --json\?/],
    ["a command that was cut short", ["stat"], /^Unknown command: stat\. Did you mean sgnet status\?/],
    [
      "a misspelt option of its own",
      ["dead", "list", "--jsno"],
      /^Unknown argument: jsno\. Did you mean --json\? Try sgnet dead --help\.\n$/,
    ],
    ["a misspelt action", ["dead", "lst"], /^sgnet dead takes .*, not lst\. Did you mean list\?\n$/],
    [
      "a flag in camel case",
      ["gateway", "--redisUrl", "x"],
      /^Unknown argument: redisUrl\. Did you mean --redis-url\?/,
    ],
    ["a flag of nothing", ["gateway", "-x"], /^Unknown argument: x\. Try sgnet gateway --help\.\n$/],
    ["a word too many", ["status", "now"], /^Unknown argument: now\. Try sgnet status --help\.\n$/],
    [
      "two strange flags",
      ["top", "--aaaaaa", "--bbbbbb"],
      /^Unknown arguments: aaaaaa, bbbbbb\. Try sgnet top --help\.\n$/,
    ],
    [
      "an own flag given twice",
      ["dead", "--model", "a", "--model", "b"],
      /^--model is given more than once\.\n$/,
    ],
    ["a flag without its value", ["gateway", "--port"], /^Not enough arguments following: port\n$/],
    [
      "a wrong value",
      ["worker", "--slots", "all"],
      /^--slots must be a whole number from 0 to 100000, not "all"\.\n$/,
    ],
    ["a trace of nothing", ["trace"], /^An id is missing: sgnet trace ID\. Use the x-request-id .*\n$/],
    ["a flag given twice", ["up", "--port", "1", "--port", "2"], /^--port is given more than once\.\n$/],
    [
      "a bad list of backends",
      ["worker", "--backends", "ftp://x"],
      /^The backend ftp:\/\/x is not a URL of an HTTP server: .*\n$/,
    ],
  ];
  for (const [mistake, args, sentence] of MISTAKES) {
    it(`ends with one sentence and exit code 1 at ${mistake}`, async () => {
      const { code, stdout, stderr } = await runCommand(args, { cwd });
      assert.match(stderr, sentence);
      assert.equal(stdout, "");
      assert.equal(code, 1);
    });
  }

  it("tells of a missing Redis before a worker waits for its backends or fetches a model", async () => {
    const args = ["worker", "--redis-url", "redis://127.0.0.1:1", "--backends", "ollama+http://127.0.0.1:1"];
    const { code, stderr } = await runCommand(args, { cwd });
    assert.equal(
      stderr,
      "There is no Redis at redis://127.0.0.1:1: check REDIS_URL, and that Redis runs there.\n",
    );
    assert.equal(code, 1);
  });

  it("tells all that is wrong in environment and .env at once", async () => {
    const own = newFolder();
    writeFileSync(join(own.path, ".env"), "SGNET_SLOTS=-1\n");
    const { code, stderr } = await runCommand(["gateway"], { cwd: own.path, env: { PORT: "http" } });
    own.remove();
    assert.deepEqual(stderr.split("\n"), [
      'PORT must be a whole number from 0 to 65535, not "http".',
      'SGNET_SLOTS in .env must be a whole number from 0 to 100000, not "-1".',
      "",
    ]);
    assert.equal(code, 1);
  });

  it("says where it looked for Redis when there is none, without the password", async () => {
    const env = { REDIS_URL: "redis://user:hunter2@127.0.0.1:1" };
    for (const command of ["status", "gateway"]) {
      const { code, stderr } = await runCommand([command], { cwd, env: { ...env, PORT: "0" } });
      assert.equal(
        stderr,
        "There is no Redis at redis://127.0.0.1:1: check REDIS_URL, and that Redis runs there.\n",
      );
      assert.equal(code, 1);
    }
  });
});
