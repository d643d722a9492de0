import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseBackends } from "../../src/backends/address.ts";
import { HTTP_KINDS } from "../../src/backends/profiles.ts";
import { Fault } from "../../src/core/fault.ts";

function only(text: string): ReturnType<typeof parseBackends>[number] {
  const [address, ...others] = parseBackends(text);
  assert.ok(address !== undefined && others.length === 0);
  return address;
}

describe("the list of backends", () => {
  it("takes URLs with and without a kind, in order", () => {
    const list = parseBackends(" http://a:1 ,ollama+http://b:2/,, OPENAI+https://c/api/v1/ ,");
    assert.deepEqual(
      list.map(({ kind, origin, prefix, url }) => [kind, origin, prefix, url]),
      [
        [undefined, "http://a:1", "", "http://a:1"],
        ["ollama", "http://b:2", "", "http://b:2"],
        ["openai", "https://c", "/api", "https://c/api"],
      ],
    );
    assert.deepEqual(parseBackends("  , "), []);
  });

  it("takes every kind, each with its own default port", () => {
    const ports = HTTP_KINDS.map((kind) => [kind, only(`${kind}+http://h`).origin]);
    assert.deepEqual(Object.fromEntries(ports), {
      ollama: "http://h:11434",
      llamacpp: "http://h:8080",
      vllm: "http://h:8000",
      lmstudio: "http://h:1234",
      exo: "http://h:52415",
      openai: "http://h",
    });
    assert.equal(only("ollama+http://h:80").origin, "http://h");
    assert.equal(only("ollama+http://key@h:80/").origin, "http://h");
    assert.equal(only("ollama+https://h").origin, "https://h");
    assert.equal(only("ollama+http://[::1]").origin, "http://[::1]:11434");
    assert.equal(only("http://h").origin, "http://h");
  });

  it("takes keys out of the URL", () => {
    for (const [text, authorization] of [
      ["http://h:1", undefined],
      ["http://s%40crt@h:1", "Bearer s@crt"],
      ["http://:s%40crt@h:1", "Bearer s@crt"],
      ["vllm+http://me:s%40crt@h:1", `Basic ${Buffer.from("me:s@crt").toString("base64")}`],
    ] as const) {
      const address = only(text);
      assert.equal(address.authorization, authorization);
      assert.equal(address.url, "http://h:1");
      assert.equal(address.origin, "http://h:1");
    }
  });

  it("says in one sentence what is wrong, without the key", () => {
    for (const [text, sentence] of [
      ["localhost:11434", /localhost:11434 is not a URL/],
      ["ftp://h", /is not a URL/],
      ["http://", /is not a URL/],
      ["http://s3cret@h:99999", /\*\*\*@h:99999 is not a URL/],
      ["s3cret@h", /is not a URL/],
      ["cobol+http://s3cret@h", /unknown kind: it can be ollama, /],
      ["http://s3cret@h/?x=1", /query or a fragment/],
      ["http://a%zz@h", /key .* not URL-encoded/],
      ["http://s3cret%0a@h", /key .* not URL-encoded/],
      ["http://h:1,ollama+http://h:1/", /http:\/\/h:1 is listed twice/],
    ] as const) {
      assert.throws(
        () => parseBackends(text),
        (error: unknown) => {
          assert.ok(error instanceof Fault);
          assert.equal(error.code, "invalid_request");
          assert.match(error.message, sentence);
          assert.match(error.message, /^[A-Z].*\.$/);
          assert.doesNotMatch(error.message, /s3cret|a%zz/);
          return true;
        },
      );
    }
  });
});
