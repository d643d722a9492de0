import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Fault, faultFromRecord, FAULTS, faultToRecord, isFaultCode, toFault } from "../../src/core/fault.ts";
import type { FaultRecord } from "../../src/core/fault.ts";
import { isModelName, modelKey } from "../../src/core/model.ts";
import { hasEnded, changePhase } from "../../src/core/task-phase.ts";
import type { TaskPhase } from "../../src/core/task-phase.ts";
import { serveOrder } from "../../src/core/placement.ts";
import { tagOf } from "../../src/core/task.ts";
import { Keys } from "../../src/redis/keys.ts";
import { newAttemptNumber } from "../../src/worker/attempt.ts";

describe("model names", () => {
  const spellings: readonly (readonly [string, string])[] = [
    ["smollm2", "smollm2"],
    ["SmolLM2:latest", "smollm2"],
    ["library/smollm2", "smollm2"],
    ["registry.ollama.ai/library/smollm2:latest", "smollm2"],
    ["smollm2:135m", "smollm2:135m"],
    ["mlx-community/Llama-3.2-1B-Instruct-4bit", "mlx-community/llama-3.2-1b-instruct-4bit"],
    ["host:5000/ns/model", "host:5000/ns/model"],
  ];
  for (const [name, key] of spellings) {
    it(`${name} is queued as ${key}`, () => {
      assert.equal(modelKey(name), key);
    });
  }

  it("has one key per model: the key of a key is itself", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9_][\w.:/-]{0,30}$/), (name) => {
        const key = modelKey(name);
        if (!key.endsWith(":latest") && !/^(?:registry\.ollama\.ai\/|library\/)/.test(key)) {
          assert.equal(modelKey(key), key);
        }
      }),
    );
  });

  it("takes what backends list and refuses what no backend could have", () => {
    for (const good of ["a", "llama3:8b", "org/model.gguf", "x:5000/a/b:c", "gpt-oss@q4"])
      assert.ok(isModelName(good));
    for (const bad of ["", " ", "a b", "/a", "a//b", "a\n", "x".repeat(601), "{a}"])
      assert.ok(!isModelName(bad));
  });
});

describe("faults", () => {
  it("survive the way through Redis", () => {
    for (const code of Object.keys(FAULTS)) {
      assert.ok(isFaultCode(code));
      const fault = new Fault(code, "text", { retryAfter: 3 });
      assert.deepEqual(faultToRecord(faultFromRecord(faultToRecord(fault))), faultToRecord(fault));
    }
  });

  it("of a newer version become internal, with message and status", () => {
    const record = { code: "not_invented_yet", message: "m", http: 418 } as unknown as FaultRecord;
    const fault = faultFromRecord(record);
    assert.deepEqual([fault.code, fault.message, fault.http], ["internal", "m", 418]);
  });

  it("are made of anything thrown, once", () => {
    const fault = new Fault("queue_full", "full");
    assert.equal(toFault(fault), fault);
    assert.equal(toFault(new Error("x")).code, "internal");
    assert.equal(toFault("x").message, "x");
  });

  it("tell clients to come back exactly when that may help", () => {
    assert.equal(new Fault("queue_full", "").retryAfter, 1);
    assert.equal(new Fault("invalid_request", "").retryAfter, undefined);
  });
});

describe("phases", () => {
  it("never leave an end, and never go back to queued after the first byte", () => {
    const all: readonly TaskPhase[] = ["opening", "queued", "running", "answering", "ended", "gone"];
    for (const to of all) {
      assert.throws(() => changePhase("ended", to));
      assert.throws(() => changePhase("gone", to));
    }
    assert.throws(() => changePhase("answering", "queued"));
    assert.throws(() => changePhase("answering", "running"));
    assert.equal(changePhase("running", "queued"), "queued");
    assert.equal(changePhase("opening", "answering"), "answering");
    assert.deepEqual(all.filter(hasEnded), ["ended", "gone"]);
  });
});

describe("serve order", () => {
  const models = fc.uniqueArray(fc.record({ key: fc.string() }), {
    selector: (model) => model.key,
    minLength: 1,
    maxLength: 6,
  });

  it("names every model once", () => {
    fc.assert(
      fc.property(models, fc.nat(), (list, turn) => {
        assert.deepEqual(serveOrder(list, turn).toSorted(), list.map((model) => model.key).toSorted());
      }),
    );
  });

  it("puts every model first within as many turns as there are models", () => {
    fc.assert(
      fc.property(models, (list) => {
        const first = new Set(list.map((_one, turn) => serveOrder(list, turn)[0]));
        assert.equal(first.size, list.length);
      }),
    );
  });
});

function hashTag(key: string): string | undefined {
  return /\{([^}]+)\}/.exec(key)?.[1];
}

describe("keys", () => {
  const keys = new Keys("p");

  it("keep the reply keys and the channel of one gateway in one cluster slot", () => {
    assert.equal(tagOf("gabc.1x"), "gabc");
    for (const key of [keys.reply("gabc.1x"), keys.body("gabc.1x"), keys.channel("gabc")])
      assert.equal(hashTag(key), "gabc");
  });

  it("do not let a model's id break out of its hash tag", () => {
    assert.equal(keys.queue("a}b{c d"), "p:q:{a%7db%7bc%20d}:p0");
  });
});

describe("attempt numbers", () => {
  it("grow with time and stay exact", () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(2026, 1, 1), max: Date.UTC(2095, 0, 1) }), (now) => {
        const number = newAttemptNumber(now, 0.999_999);
        assert.ok(Number.isSafeInteger(number));
        assert.ok(newAttemptNumber(now + 1, 0) > number);
      }),
    );
  });
});
