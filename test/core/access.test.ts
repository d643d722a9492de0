import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { AMOUNTS, MOST_AMOUNT } from "../../src/core/access/key-limits.ts";
import { allowsModel, KEY_ROLES, REQUEST_CLASSES } from "../../src/core/access/key-record.ts";
import type { KeyRecord } from "../../src/core/access/key-record.ts";
import { hasSecretForm, hintOf, SECRET_BYTES, secretOf } from "../../src/core/access/key-secret.ts";
import { allowedModels } from "../../src/core/access/principal.ts";
import { encodeKeyRecord, readAccessRecord } from "../../src/core/access/record-codec.ts";
import { changed, checkKeyChanges } from "../../src/core/access/record-changes.ts";
import { modelKey } from "../../src/core/model.ts";

const random = fc.uint8Array({ minLength: SECRET_BYTES, maxLength: SECRET_BYTES });

describe("the secret of a key", () => {
  it("has a known form: sg-, 43 characters of its bytes, and a checksum", () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const secret = secretOf(bytes);
        assert.match(secret, /^sg-[\w-]{49}$/);
        assert.equal(secret.slice(3, 46), Buffer.from(bytes).toString("base64url"));
        assert.ok(hasSecretForm(secret));
        assert.equal(hintOf(secret), secret.slice(-4));
      }),
    );
  });

  it("has the CRC-32 of its text as checksum", () => {
    const text = Buffer.alloc(SECRET_BYTES).toString("base64url");
    assert.equal(crcOf("123456789"), 0xcb_f4_39_26, "the check value of CRC-32");
    assert.equal(secretOf(new Uint8Array(SECRET_BYTES)).slice(-6), digitsOf(crcOf(text)));
  });

  it("is known by its checksum when one character is wrong, missing or too many", () => {
    fc.assert(
      fc.property(random, fc.nat(51), fc.constantFrom("A", "z", "0", "9", "-", "_"), (bytes, at, char) => {
        const secret = secretOf(bytes);
        const wrong = `${secret.slice(0, at)}${char}${secret.slice(at + 1)}`;
        assert.equal(hasSecretForm(wrong), wrong === secret);
        assert.equal(hasSecretForm(`${secret.slice(0, at)}${secret.slice(at + 1)}`), false);
        assert.equal(hasSecretForm(`${secret}${char}`), false);
      }),
    );
  });

  it("needs all of its random bytes", () => {
    assert.throws(() => secretOf(new Uint8Array(31)), RangeError);
  });
});

/** CRC-32 by polynomial division over bits, the other way round than the code has it. */
function crcOf(text: string): number {
  const bits = Array.from(Buffer.from(text)).flatMap((byte) =>
    Array.from({ length: 8 }, (_, bit) => (byte >> bit) & 1),
  );
  let rest = 0xff_ff_ff_ffn;
  for (const bit of bits) {
    const top = (rest & 1n) ^ BigInt(bit);
    rest >>= 1n;
    if (top === 1n) rest ^= 0xed_b8_83_20n;
  }
  return Number(rest ^ 0xff_ff_ff_ffn);
}

function digitsOf(crc: number): string {
  const bytes = Buffer.alloc(9);
  bytes.writeUIntBE(crc, 0, 6);
  // 36 bits as base64 has them: the lowest 36 of 48, in 6 digits.
  return bytes.subarray(0, 6).toString("base64url").slice(2);
}

const whole = fc.integer({ min: 1, max: MOST_AMOUNT });
const time = fc.integer({ min: 0, max: 8.64e15 });
const name = fc.stringMatching(/^[A-Za-z0-9_-]([A-Za-z0-9 _-]{0,20}[A-Za-z0-9_-])?$/);
const digest = fc.stringMatching(/^[0-9a-f]{64}$/);

const amounts = fc.record(Object.fromEntries(Object.keys(AMOUNTS).map((one) => [one, whole])), {
  requiredKeys: [],
});
const keys = fc
  .tuple(
    fc.record(
      {
        id: fc.stringMatching(/^k[a-z0-9]{10}$/),
        name,
        tenant: fc.stringMatching(/^[a-z0-9_-]{1,64}$/),
        digest,
        hint: fc.stringMatching(/^[\w-]{4}$/),
        role: fc.constantFrom(...KEY_ROLES),
        models: fc.array(name, { minLength: 1, maxLength: 4 }),
        created: time,
        class: fc.constantFrom(...REQUEST_CLASSES),
        ceiling: fc.constantFrom(...REQUEST_CLASSES),
        budget: fc.constantFrom("hard" as const, "warn" as const),
        former: fc.record({ digest, until: time }),
        expires: time,
        disabled: time,
      },
      { requiredKeys: ["id", "name", "tenant", "digest", "hint", "role", "models", "created"] },
    ),
    amounts,
  )
  .map(([record, limits]): KeyRecord => Object.assign(record, limits));

describe("a key record", () => {
  it("is read as it was written, with members that this version does not know", () => {
    fc.assert(
      fc.property(keys, fc.json(), (key, later) => {
        const json = JSON.stringify({ ...(JSON.parse(encodeKeyRecord(key)) as object), later });
        const expected = { kind: "key", key: JSON.parse(JSON.stringify({ ...key, later })) as object };
        assert.deepEqual(readAccessRecord(key.id, json), expected);
      }),
    );
  });

  it("is malformed as a whole when one of its members is", () => {
    fc.assert(
      fc.property(keys, fc.constantFrom(...MEMBERS), fc.jsonValue(), (key, member, value) => {
        const json = JSON.stringify({ ...key, [member]: value });
        const read = readAccessRecord(key.id, json);
        // Another valid value is possible; then the record has it.
        if (read !== undefined) {
          assert.ok(read.kind === "key");
          assert.deepEqual(read.key, JSON.parse(json));
        }
      }),
      { numRuns: 1000 },
    );
  });

  for (const [member, values] of [
    ["id", ["kabcdefghij2", "x", 1, null]],
    ["name", ["", " a", "a\n", "x".repeat(65), 1, null, undefined]],
    ["tenant", ["A", "", "a b", 1, null]],
    ["digest", ["", "0".repeat(63), "G".repeat(64), 1, null, undefined]],
    ["hint", ["123456789", 1, undefined]],
    ["former", [{}, "x", null, { digest: "0".repeat(64) }, { digest: "0".repeat(64), until: -1 }]],
    ["role", ["root", "", null, undefined, ["admin"]]],
    ["models", [[], "*", ["a", 1], [""], {}, null, undefined]],
    ["class", ["fast", null]],
    ["rpm", [0, -1, 1.5, "1", null, MOST_AMOUNT + 1]],
    ["budget", ["soft", null]],
    ["expires", ["2030-01-01", -1, null]],
    ["disabled", [true, null]],
    ["created", ["x", undefined]],
  ] as const) {
    it(`is malformed with ${member} of ${values.map((value) => JSON.stringify(value)).join(", ")}`, () => {
      for (const value of values) {
        const json = JSON.stringify({ ...KEY, [member]: value });
        assert.equal(readAccessRecord(KEY.id, json), undefined, json);
      }
    });
  }

  it("is malformed as any text that is no object, and under the id of another", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        assert.equal(readAccessRecord(KEY.id, text), undefined);
      }),
    );
    assert.equal(readAccessRecord("kbbbbbbbbbb", JSON.stringify(KEY)), undefined);
    assert.equal(readAccessRecord("t:lab", `{"name":"lib","created":1}`), undefined);
    assert.equal(readAccessRecord("anonymous", `{"allowed":"no"}`), undefined);
    assert.deepEqual(readAccessRecord("r:later", "?"), { kind: "other" });
  });

  it("does no harm with a member __proto__", () => {
    const json = JSON.stringify(KEY).replace("{", `{"__proto__":{"role":"admin"},`);
    const read = readAccessRecord(KEY.id, json);
    assert.ok(read?.kind === "key");
    assert.equal(read.key.role, "client");
    const { role: _role, ...rest } = KEY;
    const without = JSON.stringify(rest).replace("{", `{"__proto__":{"role":"admin"},`);
    assert.equal(readAccessRecord(KEY.id, without), undefined);
  });

  it("can be read after each change that is allowed", () => {
    fc.assert(
      fc.property(keys, amounts, name, (key, limits, other) => {
        const changes = checkKeyChanges({ ...limits, maxRunning: undefined, name: `${other}.`, class: null });
        const json = encodeKeyRecord(changed(key, changes));
        assert.equal(readAccessRecord(key.id, json)?.kind, "key");
      }),
    );
  });
});

const KEY: KeyRecord = {
  id: "kaaaaaaaaaa",
  name: "alice",
  tenant: "lab",
  digest: "0".repeat(64),
  hint: "abcd",
  role: "client",
  models: ["*"],
  created: 1,
};

const MEMBERS = [
  ...Object.keys(KEY),
  ...Object.keys(AMOUNTS),
  "budget",
  "class",
  "ceiling",
  "former",
  "expires",
  "disabled",
];

describe("the models of a key", () => {
  for (const [pattern, allowed, refused] of [
    ["*", ["qwen3", "hf.co/a/b:q4"], []],
    ["qwen3", ["qwen3", "qwen3:8b", "qwen3:latest"], ["qwen", "qwen33", "a/qwen3"]],
    ["Qwen3", ["qwen3", "QWEN3:8B"], []],
    ["qwen3:latest", ["qwen3", "qwen3:latest"], ["qwen3:8b"]],
    ["library/qwen3", ["qwen3", "qwen3:8b"], []],
    ["qwen3:8b", ["qwen3:8b"], ["qwen3", "qwen3:8bx"]],
    ["qwen3:*", ["qwen3:8b", "qwen3"], ["qwen33", "qwen33:8b"]],
    ["qwen*", ["qwen", "qwen3:8b"], ["aqwen"]],
    ["*:8b", ["qwen3:8b"], ["qwen3", "qwen3:8bx"]],
    ["hf.co/*", ["hf.co/a/b", "hf.co/a/b:q4"], ["a/hf.co/b"]],
    ["hf.co:5000/a/b", ["hf.co:5000/a/b", "hf.co:5000/a/b:q4"], ["hf.co"]],
    ["a*b*c", ["abc", "axbxc", "abbcc"], ["ab", "ac", "abcd"]],
    ["ab*ba", ["abba", "abxba"], ["aba"]],
    [".*", [".x"], ["x"]],
  ] as const) {
    it(`follow the pattern ${pattern}`, () => {
      for (const model of allowed)
        assert.equal(allowsModel({ models: [pattern] }, modelKey(model)), true, model);
      for (const model of refused)
        assert.equal(allowsModel({ models: [pattern] }, modelKey(model)), false, model);
    });
  }

  it("are those that a regular expression of the pattern finds, for patterns with stars", () => {
    const text = fc.stringMatching(/^[ab.*]{1,8}$/).filter((one) => one.includes("*"));
    fc.assert(
      fc.property(text, fc.stringMatching(/^[ab.]{1,8}:[ab]{1,3}$/), (pattern, model) => {
        const source = pattern
          .split("*")
          .map((piece) => piece.replaceAll(".", "\\."))
          .join("[^]*");
        assert.equal(allowsModel({ models: [pattern] }, model), new RegExp(`^${source}$`).test(model));
      }),
      { numRuns: 2000 },
    );
  });

  it("are all those of a list for a request that may use all", () => {
    const models = [{ key: "a" }, { key: "b" }];
    assert.equal(allowedModels(undefined, models), models);
    assert.equal(allowedModels({ role: "client", key: KEY }, models), models);
    assert.deepEqual(allowedModels({ role: "client", key: { ...KEY, models: ["b"] } }, models), [
      { key: "b" },
    ]);
  });
});
