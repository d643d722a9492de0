import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { SETTINGS } from "../src/config/settings.ts";

const DEPLOY = join(import.meta.dirname, "../docs/deploy");

function read(file: string): string {
  return readFileSync(join(DEPLOY, file), "utf8");
}

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
