import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { assert as check, constantFrom, property, string } from "fast-check";
import { supervisedEnvironment } from "../../src/config/environment.ts";
import { loadSettings, SettingsError, settingsToEnvironment } from "../../src/config/load.ts";
import { SETTINGS } from "../../src/config/settings.ts";

type Env = Readonly<Record<string, string>>;

describe("misspelt settings that would leave a gateway unguarded", () => {
  const cwd = mkdtempSync(join(tmpdir(), "sgnet-names-"));
  after(() => {
    rmSync(cwd, { recursive: true });
  });

  function problems(env: Env, more: { file?: string; flags?: Env } = {}): readonly string[] {
    writeFileSync(join(cwd, ".env"), more.file ?? "");
    try {
      loadSettings({ flags: more.flags ?? {}, env, cwd });
      return [];
    } catch (error) {
      assert.ok(error instanceof SettingsError);
      return error.problems;
    }
  }

  it("are refused when a list of keys holds none", () => {
    for (const list of [" , ", ",", ",,,", "   ", "\t", " ,\n, "]) {
      for (const name of ["SGNET_API_KEY", "SGNET_ADMIN_KEY"]) {
        const expected = `${name} contains no key: add one, or leave the setting out.`;
        assert.deepEqual(problems({ [name]: list }), [expected], JSON.stringify(list));
        assert.equal(problems({}, { file: `${name}="${list}"\n` }).length, 1, JSON.stringify(list));
      }
      assert.equal(problems({}, { flags: { "api-key": list } }).length, 1);
    }
  });

  it("are refused when a key is one that no client can send, and the key is not told", () => {
    for (const key of [
      '"secret"',
      "'secret'",
      "sec ret",
      "sec\u0007ret",
      "se\u00A0cret",
      "sécret",
      "ok,secret\n2",
    ]) {
      const [problem = "", ...others] = problems({ SGNET_API_KEY: key });
      assert.deepEqual(others, []);
      assert.match(problem, /^SGNET_API_KEY has a key /);
      assert.doesNotMatch(problem, /sec|ret/);
    }
  });

  it("are refused when nothing hides the keys that the file sets", () => {
    const file = "SGNET_API_KEY=one\n";
    assert.match(
      problems({ SGNET_API_KEY: "" }, { file })[0] ?? "",
      /^SGNET_API_KEY is empty, but keys are set/,
    );
    assert.equal(problems({ SGNET_API_KEY: "two" }, { file, flags: { "api-key": "" } }).length, 1);
    assert.deepEqual(problems({ SGNET_API_KEY: "two" }, { file }), []);
    assert.deepEqual(problems({ SGNET_API_KEY: "" }), []);
  });

  it("are told by name when a variable is misspelt, without its value", () => {
    const meant = {
      SGNET_API_KEYS: "SGNET_API_KEY",
      SGNET_APIKEY: "SGNET_API_KEY",
      sgnet_api_key: "SGNET_API_KEY",
      "SGNET-API-KEY": "SGNET_API_KEY",
      SGNT_API_KEY: "SGNET_API_KEY",
      SGNETAPI_KEY: "SGNET_API_KEY",
      SGNET_ADMIN_KEYS: "SGNET_ADMIN_KEY",
      SGNET_PORT: "PORT",
      SGNET_REDIS_URL: "REDIS_URL",
      SGNET_MAXOPEN: "SGNET_MAX_OPEN",
    };
    for (const [name, known] of Object.entries(meant)) {
      assert.deepEqual(problems({ [name]: "secret" }), [`${name} is no setting: did you mean ${known}?`]);
      const inFile = problems({}, { file: `${name}=secret\n` });
      // A file with a name that has a dash is no list of variables.
      if (!name.includes("-"))
        assert.deepEqual(inFile, [`${name} in .env is no setting: did you mean ${known}?`]);
    }
    assert.deepEqual(problems({ SGNET_SOMETHING_ELSE: "1" }), [
      "SGNET_SOMETHING_ELSE is no setting: see docs/settings.md",
    ]);
  });

  it("are not seen in what others set", () => {
    const others = {
      API_KEY: "x",
      OPENAI_API_KEY: "x",
      PATH: "/bin",
      SGNET_TEST_REDIS_BINARIES: "a=b",
      SGNET_GATEWAY_SERVICE_HOST: "10.0.0.1",
      SGNET_GATEWAY_SERVICE_PORT_HTTP: "80",
      SGNET_GATEWAY_PORT: "tcp://10.0.0.1:80",
      SGNET_GATEWAY_PORT_80_TCP_ADDR: "10.0.0.1",
    };
    assert.deepEqual(problems(others), []);
  });

  it("do not stop a child that is given all settings", () => {
    const given = settingsToEnvironment(loadSettings({ flags: {}, env: {}, cwd }));
    const own = Object.entries(supervisedEnvironment()).filter(([name]) => name === "SGNET_PARENT_PID");
    assert.deepEqual(
      problems({ ...Object.fromEntries(own.map(([name, value]) => [name, String(value)])), ...given }),
      [],
    );
  });

  it("never let a text of blanks and commas pass for keys", () => {
    const nothing = string({ unit: constantFrom(" ", ",", "\t", "\n"), minLength: 1 });
    check(property(nothing, (list) => problems({ SGNET_API_KEY: list }).length === 1));
  });

  it("name every setting of the table as known", () => {
    for (const { env } of Object.values(SETTINGS)) {
      assert.deepEqual(
        problems({ [env]: "" }).filter((text) => text.includes("no setting")),
        [],
      );
    }
  });
});
