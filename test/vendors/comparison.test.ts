import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compare, report } from "./comparison.ts";
import { outcomesIn } from "./pytest.ts";
import { startScriptedBackend } from "./scripted-backend.ts";

const FILE = "tests/api_resources/test_responses.py";
const DIRECT = `....s
=== short test summary info ===
PASSED ${FILE}::TestResponses::test_method_create_overload_1[strict]
PASSED ${FILE}::TestResponses::test_method_create_with_all_params_overload_1[loose]
PASSED ${FILE}::TestResponses::test_raw_response_create[loose]
SKIPPED [1] ${FILE}:20: not now
FAILED ${FILE}::TestResponses::test_other[loose] - assert False
4 passed, 1 skipped in 0.2s`;
const THROUGH = `
FAILED ${FILE}::TestResponses::test_method_create_overload_1[strict] - openai.BadRequestError: 400 - input is required
FAILED ${FILE}::TestResponses::test_method_create_with_all_params_overload_1[loose] - assert False
PASSED ${FILE}::TestResponses::test_raw_response_create[loose]
PASSED ${FILE}::TestResponses::test_other[loose]`;

describe("the vendors' tests, compared", () => {
  const found = compare(FILE, { direct: outcomesIn(DIRECT), gateway: outcomesIn(THROUGH) });

  it("counts what passes, and tells what passes only directly", () => {
    assert.deepEqual([found.direct, found.gateway], [3, 2]);
    assert.deepEqual(
      found.differences.map(({ reason, explanation }) => [reason, explanation === undefined]),
      [
        ["openai.BadRequestError: 400 - input is required", false],
        ["assert False", true],
      ],
    );
  });

  it("reports a difference that nothing explains", () => {
    const { table, open } = report([found]);
    assert.equal(open, 1);
    assert.match(table, /^all +3 +2 +2$/m);
    assert.match(table, /UNEXPLAINED: assert False\n {2}TestResponses::test_method_create_with_all_params/);
    assert.match(table, /failed directly: .*test_other/);
  });
});

describe("the scripted backend", () => {
  it("answers every endpoint, in pieces where it is asked to, and refuses what is no JSON", async (t) => {
    const backend = await startScriptedBackend({ models: ["a/b"] });
    t.after(() => backend.stop());
    const ask = async (path: string, body: string | FormData): Promise<[number, string]> => {
      const headers = typeof body === "string" ? { "content-type": "application/json" } : {};
      const reply = await fetch(backend.url + path, { method: "POST", body, headers });
      await reply.arrayBuffer();
      return [reply.status, reply.headers.get("content-type") ?? ""];
    };
    const asked = JSON.stringify({ model: "a/b", stream: true });
    const form = new FormData();
    form.set("stream", "true");
    assert.deepEqual(await ask("/v1/messages", asked), [200, "text/event-stream"]);
    assert.deepEqual(await ask("/v1/audio/transcriptions", form), [200, "text/event-stream"]);
    assert.deepEqual(await ask("/v1/audio/speech", asked), [200, "audio/mpeg"]);
    assert.deepEqual(await ask("/v1/moderations", ""), [400, "application/json"]);
    assert.deepEqual(await ask("/v1/nothing", asked), [404, "application/json"]);
    const one = await fetch(`${backend.url}/v1/models/a%2Fb`, { headers: { "anthropic-version": "1" } });
    assert.equal(((await one.json()) as { display_name: string }).display_name, "a/b");
  });
});
