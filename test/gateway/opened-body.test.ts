import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openBody, openSmallBody } from "../../src/gateway/requests/body.ts";
import { TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { takesForm } from "../../src/protocols/openai/multipart-request.ts";
import { formBody } from "../rig/multipart.ts";

const FORM = "multipart/form-data; boundary=b";
const form = formBody("b", [
  { name: "file", filename: "a.wav", value: "[".repeat(5000) },
  { name: "model", value: "tiny" },
]);
const json = Buffer.from(
  '{"model":"tiny","messages":[{"role":"user","content":"x"}],"input":"x","prompt":"x","max_tokens":1}',
);

describe("the body of a request", () => {
  for (const { path, endpoint } of TASK_ROUTES.filter(({ endpoint: one }) => !takesForm(one))) {
    it(`is no form at ${path}: the error names what is expected`, () => {
      for (const open of [openBody, openSmallBody]) {
        assert.throws(() => open({ endpoint, contentType: FORM }, form), {
          code: "unsupported",
          http: 415,
          message: `this endpoint takes application/json, and the request has '${FORM}'`,
        });
      }
    });
  }

  it("is read as JSON where it is JSON, whatever its client says of it", () => {
    for (const contentType of ["", "application/x-www-form-urlencoded", FORM, "application/json"]) {
      assert.equal(openBody({ endpoint: "openai-chat", contentType }, json).model, "tiny");
    }
  });

  it("is measured only when its size is wanted", () => {
    const kind = { endpoint: "openai-chat", contentType: "" } as const;
    assert.equal("size" in openBody(kind, json), false);
    assert.equal("size" in openBody({ ...kind, measures: false }, json), false);
    const size = { inputTokens: 1, answers: 1, mostOutput: 1 };
    assert.deepEqual(openBody({ ...kind, measures: true }, json).size, size);
    assert.deepEqual(openSmallBody({ ...kind, measures: true }, json)?.size, size);
    const audio = { endpoint: "openai-transcriptions", contentType: FORM, measures: true } as const;
    assert.deepEqual(openBody(audio, form).size, { inputTokens: 1000, answers: 1 });
  });
});
