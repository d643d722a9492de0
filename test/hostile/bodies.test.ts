import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { isObject } from "../../src/core/json.ts";
import { serverCodec } from "../../src/protocols/dialects.ts";
import { SURFACE } from "../../src/protocols/openai/surface.ts";
import { journey } from "../rig/fleet/fleet.ts";
import { BODIES } from "./bodies.ts";
import { effort, LIMIT_MS } from "./effort.ts";
import { spoiled, twisted } from "./json.ts";
import { whileHarmed } from "./watch.ts";

const SURFACE_PATHS = new Set(SURFACE.flatMap(({ paths }) => paths.map(({ path }) => path)));

/** True for a path of the surface, with a slash too many as well. */
function isSurfacePath(path: string): boolean {
  return SURFACE_PATHS.has(path.replace(/(?<=.)\/$/, ""));
}

/** Checks that an error before the answer has the form of the path's dialect. */
function assertRefusal(path: string, text: string): void {
  const body: unknown = JSON.parse(text);
  assert.ok(isObject(body), text);
  const { error } = body;
  if (path.startsWith("/v1/") || isSurfacePath(path))
    assert.ok(isObject(error) && typeof error["message"] === "string", text);
  else assert.equal(typeof error, "string", text);
}

/** A server of the rest of OpenAI's surface answers each of its paths. */
const ANSWERS = Object.fromEntries(
  SURFACE.flatMap(({ paths }) =>
    paths.map(({ path }) => [path, { contentType: "application/json", body: '{"model":"tiny"}' }]),
  ),
);

interface Hostile {
  readonly path: string;
  readonly body: Buffer;
}

const hostile: fc.Arbitrary<Hostile> = fc.constantFrom(...Object.entries(BODIES)).chain(([path, sound]) => {
  return spoiled(twisted(sound)).map((body) => ({ path, body }));
});

for (const speaks of ["ollama", "openai"] as const) {
  journey(
    `bodies of every wrong kind, before a backend that speaks ${speaks}`,
    { posts: [{ speaks, answers: speaks === "openai" ? ANSWERS : {} }], limitMs: LIMIT_MS },
    async (fleet, t) => {
      const { gateway } = fleet;
      const ask = async ({ path, body }: Hostile): Promise<void> => {
        const response = await fetch(gateway.url + path, { method: "POST", body });
        const text = await response.text();
        const about = `${path} ${response.status} ${text.slice(0, 300)}`;
        // 501: this fleet has no backend for the path.
        const mayLack = speaks === "ollama" && isSurfacePath(path);
        assert.ok(response.status < 500 || (mayLack && response.status === 501), about);
        if (response.status >= 400) assertRefusal(path, text);
      };
      const programs = [gateway, fleet.post().worker];
      const harm = async (): Promise<void> => fc.assert(fc.asyncProperty(hostile, ask), effort(t, 150));
      t.diagnostic(await whileHarmed(gateway, { programs, mostMiB: 200, harm }));
    },
  );
}

// Found by fuzzing: passed on as the tokens of one input.
test("numbers that are no tokens are no input", () => {
  const endpoint = serverCodec("openai-embeddings");
  assert.equal(endpoint.validate({ model: "tiny", input: [1, 2] }).model, "tiny");
  for (const input of [[1e308], [-1], [0.5], [[1], [2 ** 60]]]) {
    assert.throws(() => endpoint.validate({ model: "tiny", input }), { http: 400 });
  }
});

// Found by looking at each pattern that meets a client's text: a gateway stood still for the square of its length.
test("a keep_alive of a million digits is refused", () => {
  const endpoint = serverCodec("ollama-chat");
  for (const digits of ["1".repeat(1_000_000), "1h".repeat(1_000_000), `${"1".repeat(200)}x`]) {
    const body = { model: "tiny", messages: [], keep_alive: digits };
    assert.throws(() => endpoint.decode(body), { http: 400 });
  }
});

// It filled the stack of the pattern.
test("an image whose data URL has ten million parameters is refused", () => {
  const endpoint = serverCodec("ollama-chat");
  const images = [`data:${";".repeat(10_000_000)}`];
  const body = { model: "tiny", messages: [{ role: "user", content: "", images }] };
  assert.throws(() => endpoint.decode(body), { http: 400 });
});
