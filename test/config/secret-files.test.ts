import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import * as fc from "fast-check";
import { SettingsError, loadSettings, settingsToEnvironment } from "../../src/config/load.ts";
import type { SettingsSources } from "../../src/config/load.ts";
import { secretFileOf, secretFiles } from "../../src/config/secret-files.ts";
import type { Setting } from "../../src/config/setting.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import type { Settings } from "../../src/config/settings.ts";
import { keysOf } from "../../src/config/key-list.ts";

const SECRET = "sg-hunter2-hunter2";

describe("the files of secret settings", () => {
  let cwd = "";
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), "sgnet-secrets-"));
  });
  afterEach(() => {
    rmSync(cwd, { recursive: true });
  });

  function put(name: string, content: string): string {
    const path = join(cwd, name);
    writeFileSync(path, content);
    return path;
  }

  function load(sources: Partial<SettingsSources>): Settings {
    return loadSettings({ flags: sources.flags ?? {}, env: sources.env ?? {}, cwd });
  }

  function problems(sources: Partial<SettingsSources>): string {
    try {
      load(sources);
    } catch (error) {
      assert.ok(error instanceof SettingsError);
      return error.problems.join("\n");
    }
    return "";
  }

  it("exist for every secret setting", () => {
    const settings: readonly Setting[] = Object.values(SETTINGS);
    for (const setting of settings) {
      if (setting.secret !== true) assert.equal(secretFileOf(setting), undefined, setting.env);
      else {
        const names = [...Object.values(SETTINGS), ...secretFiles()].map(({ env }) => env);
        assert.ok(names.includes(`${setting.env}_FILE`), setting.env);
      }
    }
  });

  it("come by variable, by flag and by .env, and lose one line break", () => {
    const path = put("url", "redis://:p w@h:1\n");
    for (const sources of [
      { env: { REDIS_URL_FILE: path } },
      { flags: { "redis-url-file": path } },
      { flags: { "redis-url-file": "url" } },
    ])
      assert.equal(load(sources).redisUrl, "redis://:p w@h:1");
    writeFileSync(join(cwd, ".env"), `OTEL_EXPORTER_OTLP_HEADERS_FILE=${put("headers", "a=1\r\n")}\n`);
    assert.equal(load({}).otlpHeaders, "a=1");
  });

  it("may have one item of a list per line", () => {
    const path = put("keys", "k1\r\nk2, k3\n\n k4,\n");
    const settings = load({
      env: { SGNET_API_KEY_FILE: path, SGNET_BACKENDS_FILE: put("urls", "http://a\nhttp://b\n") },
    });
    assert.deepEqual(keysOf(settings.apiKeys), ["k1", "k2", "k3", "k4"]);
    assert.equal(settings.backends, "http://a,http://b");
  });

  it("give the keys that were written, in any layout", () => {
    const key = fc.stringMatching(/^[\w+/=-]{1,20}$/);
    const separator = fc.constantFrom("\n", "\r\n", ",", ", ", ",\n", "\n\n");
    fc.assert(
      fc.property(fc.uniqueArray(key, { minLength: 1, maxLength: 6 }), separator, (keys, between) => {
        const path = put("any", `${keys.join(between)}\n`);
        assert.deepEqual(keysOf(load({ env: { SGNET_ADMIN_KEY_FILE: path } }).adminKeys), keys);
      }),
    );
  });

  it("exclude the value in the same source; a source of higher priority wins", () => {
    const path = put("key", SECRET);
    assert.equal(
      problems({ env: { SGNET_API_KEY: "k1", SGNET_API_KEY_FILE: path } }),
      "SGNET_API_KEY and SGNET_API_KEY_FILE are both given: remove one of the two.",
    );
    assert.equal(
      problems({ flags: { "api-key": "k1", "api-key-file": path } }),
      "--api-key and --api-key-file are both given: remove one of the two.",
    );
    assert.equal(load({ flags: { "api-key-file": path }, env: { SGNET_API_KEY: "k1" } }).apiKeys, SECRET);
    assert.equal(load({ flags: { "api-key": "k1" }, env: { SGNET_API_KEY_FILE: path } }).apiKeys, "k1");
    // Compose files pass variables on that are empty when they are not set.
    assert.equal(load({ env: { SGNET_API_KEY: "", SGNET_API_KEY_FILE: path } }).apiKeys, SECRET);
    assert.equal(load({ env: { SGNET_API_KEY: "k1", SGNET_API_KEY_FILE: "" } }).apiKeys, "k1");
    assert.match(
      problems({ flags: { "api-key": "" }, env: { SGNET_API_KEY_FILE: path } }),
      /--api-key is empty, but/,
    );
  });

  it("are named when they cannot be used, and their content never is", () => {
    mkdirSync(join(cwd, "folder"));
    const missing = join(cwd, "missing");
    assert.equal(
      problems({ env: { SGNET_API_KEY_FILE: missing } }),
      `SGNET_API_KEY_FILE names the file ${missing}, which cannot be read (ENOENT).`,
    );
    assert.match(
      problems({ flags: { "api-key-file": "folder" } }),
      /^--api-key-file names the file .*folder, which cannot be read \(EISDIR\)\.$/,
    );
    // An empty file must not open the door.
    for (const content of ["", "\n", " \n \n"])
      assert.match(problems({ env: { SGNET_API_KEY_FILE: put("empty", content) } }), /which is empty/);
    assert.match(problems({ env: { SGNET_API_KEY_FILE: put("commas", " , ,\n") } }), /contains no key/);
    assert.match(
      problems({ env: { SGNET_API_KEY_FILE: put("large", "x".repeat(1024 * 1024 + 1)) } }),
      /more than/,
    );
    assert.match(
      problems({ flags: { "api-key-file": ["a", "b"] } }),
      /--api-key-file is given more than once/,
    );
    for (const name of ["SGNET_API_KEY", "REDIS_URL", "OTEL_EXPORTER_OTLP_HEADERS"]) {
      const told = problems({ env: { [`${name}_FILE`]: put("bad", `${SECRET} é`) } });
      assert.ok(told.startsWith(`${name}_FILE `) && !told.includes(SECRET), told);
    }
  });

  it("are misspelt as any other setting", () => {
    assert.match(problems({ env: { SGNET_API_KEYS_FILE: "x" } }), /did you mean SGNET_API_KEY_FILE\?/);
  });

  it("are not read again by a child process, which gets the values", () => {
    const path = put("key", SECRET);
    writeFileSync(join(cwd, ".env"), `SGNET_ADMIN_KEY_FILE=${path}\n`);
    const env = { SGNET_API_KEY_FILE: path };
    const settings = load({ env });
    rmSync(path);
    const again = load({ env: { ...env, ...settingsToEnvironment(settings) } });
    assert.deepEqual(again, settings);
    assert.equal(again.adminKeys, SECRET);
  });

  it("stand in the help beside their setting", () => {
    const cli = join(import.meta.dirname, "../../src/cli.ts");
    const help = execFileSync(process.execPath, [cli, "gateway", "--help"], { encoding: "utf8" });
    assert.match(help, /--api-key-file .*\[SGNET_API_KEY_FILE\]/s);
  });
});
