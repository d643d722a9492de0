import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { discoverLocal } from "../../src/backends/discover.ts";
import { openBackends } from "../../src/backends/open.ts";
import type { Backend } from "../../src/backends/backend.ts";
import { loadSettings } from "../../src/config/load.ts";
import { openLog, type Log } from "../../src/telemetry/log.ts";
import { startStandIn } from "../rig/backends/stand-in.ts";

const { signal } = new AbortController();

async function opened(
  t: TestContext,
  list: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly backends: readonly Backend[]; readonly lines: string }> {
  const lines: string[] = [];
  const log: Log = openLog({ level: "info", format: "json", write: (line) => lines.push(line) });
  const settings = loadSettings({ flags: {}, env: { SGNET_BACKENDS: list, ...env } });
  const backends = await openBackends({ settings, log });
  t.after(() => Promise.all(backends.map((backend) => backend.close())));
  return { backends, lines: lines.join("") };
}

test("configured backends are probed, named, and logged without their keys", async (t) => {
  const ollama = await startStandIn({ speaks: "ollama" });
  const openai = await startStandIn({ speaks: "openai" });
  t.after(() => Promise.all([ollama.stop(), openai.stop()]));
  const list = `http://s3cret@127.0.0.1:${ollama.port},openai+http://:s3cret@127.0.0.1:${openai.port}`;
  const { backends, lines } = await opened(t, list);
  assert.deepEqual(
    backends.map(({ name, kind, url }) => [name, kind, url]),
    [
      [`ollama@127.0.0.1:${ollama.port}`, "ollama", ollama.url],
      [`openai@127.0.0.1:${openai.port}`, "openai", openai.url],
    ],
  );
  assert.doesNotMatch(lines, /s3cret/);
  assert.match(lines, /"models":1/);
});

test("a backend that is not there is kept, warned of once, and comes up by itself", async (t) => {
  const early = await startStandIn();
  const { port } = early;
  await early.stop();
  const { backends, lines } = await opened(t, `http://127.0.0.1:${port}`);
  const [backend] = backends;
  assert.ok(backend !== undefined);
  assert.deepEqual([backend.kind, backend.name], ["unknown", `unknown@127.0.0.1:${port}`]);
  assert.equal(lines.match(/"level":"warn"/g)?.length, 1);
  await assert.rejects(backend.inspect(signal), { code: "backend_unreachable" });
  const standIn = await startStandIn({ speaks: "openai", port });
  t.after(() => standIn.stop());
  const { models } = await backend.inspect(signal);
  assert.equal(models[0]?.name, "tiny:latest");
  assert.deepEqual([backend.kind, backend.name], ["openai", `openai@127.0.0.1:${port}`]);
});

test("a worker starts without its default model where that cannot run, and says why", async (t) => {
  const cacheDir = mkdtempSync(join(tmpdir(), "sgnet-open-"));
  t.after(() => rmSync(cacheDir, { recursive: true, force: true }));
  const taken = join(cacheDir, "a file");
  writeFileSync(taken, "");
  const found = await discoverLocal(AbortSignal.timeout(2000));
  if (found.length > 0)
    return t.skip("this machine runs an LLM server, which is taken in place of the model");
  const { backends, lines } = await opened(t, "", { SGNET_CACHE_DIR: taken });
  assert.deepEqual(backends, []);
  assert.match(
    lines,
    /"level":"warn","message":"the embedded model cannot run: this worker has nothing to run"/,
  );
  assert.match(lines, /"code":"\w+","reason":"[^"]*EEXIST|ENOTDIR/);
  const named = { SGNET_EMBEDDED_MODEL: join(cacheDir, "absent.gguf") };
  await assert.rejects(opened(t, "", named), {
    code: "model_not_found",
    message: /absent\.gguf cannot be read/,
  });
});

test("a bad list is refused", async (t) => {
  await assert.rejects(opened(t, "nonsense"), { code: "invalid_request", message: /not a URL/ });
});
