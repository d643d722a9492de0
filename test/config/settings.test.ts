import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { findProgram } from "../../src/config/environment.ts";
import {
  SettingsError,
  loadSettings,
  resolvedCacheDir,
  settingsToEnvironment,
} from "../../src/config/load.ts";
import type { SettingsSources } from "../../src/config/load.ts";
import { renderEnvExample, renderSettingsDoc } from "../../src/config/render.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import type { Settings } from "../../src/config/settings.ts";

const ROOT = join(import.meta.dirname, "../..");

describe("settings", () => {
  let cwd = "";
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), "sgnet-settings-"));
  });
  afterEach(() => {
    rmSync(cwd, { recursive: true });
  });

  function load(sources: Partial<SettingsSources> & { file?: string }): Settings {
    if (sources.file !== undefined) writeFileSync(join(cwd, ".env"), sources.file);
    return loadSettings({ flags: sources.flags ?? {}, env: sources.env ?? {}, cwd });
  }

  function problems(sources: Partial<SettingsSources> & { file?: string }): readonly string[] {
    try {
      load(sources);
    } catch (error) {
      assert.ok(error instanceof SettingsError);
      return error.problems;
    }
    return [];
  }

  it("have the defaults of the table when nothing is given", () => {
    const defaults = Object.fromEntries(
      Object.entries(SETTINGS).map(([name, setting]) => [name, setting.default]),
    );
    assert.deepEqual(load({}), { ...defaults, stateDir: join(cwd, ".sgnet") });
  });

  it("take a flag before the environment, that before the file, that before the default", () => {
    const file = "PORT=1\nHOST=file\nSGNET_PREFIX=file\n";
    const settings = load({ flags: { port: "3" }, env: { PORT: "2", HOST: "env" }, file });
    assert.deepEqual([settings.port, settings.host, settings.prefix], [3, "env", "file"]);
  });

  it("cannot be changed once loaded", () => {
    const settings: { port: number } = load({});
    assert.throws(() => {
      settings.port = 1;
    }, TypeError);
  });

  it("name every problem at once, one sentence each", () => {
    const sources = {
      flags: { "log-level": "loud", port: ["1", "2"] },
      env: { SGNET_SLOTS: "many", SGNET_PREFIX: "a{b}" },
      file: "SGNET_LEASE_MS=7\n",
    };
    assert.deepEqual(problems(sources), [
      "--port is given more than once.",
      'SGNET_PREFIX must be 1 to 64 letters, digits, dots, dashes or underscores, not "a{b}".',
      'SGNET_SLOTS must be a whole number from 0 to 100000, not "many".',
      'SGNET_LEASE_MS in .env must be a whole number from 300 to 600000, not "7".',
      '--log-level must be one of error, warn, info, debug, not "loud".',
    ]);
  });

  it("refuse numbers that are not whole, or not in range", () => {
    for (const port of ["", "1.5", "65536", "-1", "0x10", "1e3", "Infinity", "NaN"])
      assert.equal(problems({ flags: { port } }).length, 1, port);
    assert.equal(load({ flags: { "max-body-bytes": "1_000_000" } }).maxBodyBytes, 1_000_000);
  });

  it("do not repeat a secret in a problem", () => {
    const [problem] = problems({ env: { REDIS_URL: "http://user:hunter2@x" } });
    assert.match(problem ?? "", /^REDIS_URL must be a URL that begins with redis:\/\/, [^2]*master\.$/);
  });

  it("take every kind of Redis URL, and refuse one of Sentinel without a master", () => {
    const good = [
      "redis://h",
      "rediss://u:p@h:1/2",
      "unix:///tmp/redis.sock",
      "redis+cluster://u:p@h1:1,h2:2",
      "rediss+cluster://h1",
      "redis+sentinel://h1:1,h2:2/mymaster?password=x",
    ];
    for (const url of good) assert.equal(load({ env: { REDIS_URL: url } }).redisUrl, url);
    for (const url of ["redis+sentinel://h1:1,h2:2", "redis+cluster://", "redis+ring://h", "redis://"])
      assert.equal(problems({ env: { REDIS_URL: url } }).length, 1, url);
  });

  it("take an empty variable as not set, but as empty text where that is the default", () => {
    const file = "PORT=4000\nSGNET_BACKENDS=http://a\n";
    const settings = load({ env: { PORT: "", SGNET_BACKENDS: "" }, file });
    assert.equal(settings.port, 4000);
    assert.equal(settings.backends, "");
  });

  it("say so when .env cannot be read", () => {
    mkdirSync(join(cwd, ".env"));
    assert.match(problems({})[0] ?? "", /\.env cannot be read/);
  });

  it("reach a child process unchanged through its environment", () => {
    const settings = load({ flags: { port: "0", backends: "http://a,http://b", host: "::1" } });
    const child = load({ env: settingsToEnvironment(settings), file: "PORT=9\nREDIS_URL=redis://no\n" });
    assert.deepEqual(child, settings);
  });

  it("find the cache folder by setting, XDG_CACHE_HOME, home", () => {
    assert.equal(resolvedCacheDir({ cacheDir: "/c" }, {}), "/c");
    assert.equal(resolvedCacheDir({ cacheDir: "" }, { XDG_CACHE_HOME: "/x" }), "/x/stargazer");
    assert.equal(
      resolvedCacheDir({ cacheDir: "" }, { XDG_CACHE_HOME: "x" }),
      join(homedir(), ".cache/stargazer"),
    );
  });

  it("are all in .env.example and docs/settings.md, as the table says", () => {
    assert.equal(readFileSync(join(ROOT, ".env.example"), "utf8"), renderEnvExample());
    assert.equal(readFileSync(join(ROOT, "docs/settings.md"), "utf8"), renderSettingsDoc());
  });

  it("of .env.example are the defaults when its lines are put in force", () => {
    const file = renderEnvExample().replaceAll(/^#(?=[A-Z_]+=)/gm, "");
    assert.match(file, /^PORT=3000$/m);
    assert.deepEqual(load({ file }), load({ file: "" }));
  });
});

describe("findProgram", () => {
  it("finds the first name that is an executable file on PATH", () => {
    assert.equal(findProgram(["no-such-program", "sh"], { PATH: "/nowhere:/bin" }), "/bin/sh");
    assert.equal(findProgram(["sh"], { PATH: "/nowhere" }), undefined);
    assert.equal(findProgram(["bin"], { PATH: "/" }), undefined);
  });
});
