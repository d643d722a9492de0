import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { SETTINGS } from "../../src/config/settings.ts";
import { productVersion } from "../../src/config/version.ts";
import { newFolder, runCommand } from "./command.ts";

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

  it("tells its version", async () => {
    const { stdout } = await runCommand(["--version"], { cwd });
    assert.equal(stdout.trim(), productVersion());
  });

  const MISTAKES: readonly (readonly [string, readonly string[], RegExp])[] = [
    ["a missing command", [], /^A command is missing\. Try sgnet --help\.\n$/],
    ["an unknown command", ["serve"], /^Unknown command: serve\. Try sgnet --help\.\n$/],
    ["an unknown flag", ["gateway", "--prot", "1"], /^Unknown argument: prot\. Try sgnet --help\.\n$/],
    ["a flag without its value", ["gateway", "--port"], /^Not enough arguments following: port\n$/],
    [
      "a wrong value",
      ["worker", "--slots", "all"],
      /^--slots must be a whole number from 0 to 100000, not "all"\.\n$/,
    ],
    ["a trace of nothing", ["trace"], /^An id is missing: sgnet trace ID\. It is the x-request-id .*\n$/],
    ["a flag given twice", ["up", "--port", "1", "--port", "2"], /^--port is given more than once\.\n$/],
    [
      "a bad list of backends",
      ["worker", "--backends", "ftp://x"],
      /^The backend ftp:\/\/x is not a URL of HTTP: .*\n$/,
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
