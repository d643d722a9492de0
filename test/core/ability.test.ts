import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readWorkerAnnouncement } from "../../src/core/announcement.ts";
import {
  abilityOf,
  ABILITIES,
  isAbility,
  modelOf,
  queueFor,
  queuesOf,
  queueLabel,
  servesQueue,
} from "../../src/core/ability.ts";
import { modelNameProblem } from "../../src/core/model.ts";
import { Keys } from "../../src/redis/keys.ts";

describe("an ability queue", () => {
  const queue = queueFor("org/bge m3", "openai-rerank");

  it("is a queue of its own beside that of its model, on the same node", () => {
    const keys = new Keys("sgnet");
    assert.equal(keys.queue(queue), "sgnet:q:{org/bge%20m3}:rerank");
    assert.equal(keys.doorbell(queue), "sgnet:t:{d}:org/bge%20m3:rerank");
    assert.equal(keys.queue("org/bge m3"), "sgnet:q:{org/bge%20m3}:p0");
    assert.equal(keys.dead(queue), keys.dead("org/bge m3"));
    assert.equal(queueFor("m", "openai-chat"), "m");
  });

  it("names its model and itself, and no model can have its name", () => {
    assert.equal(modelOf(queue), "org/bge m3");
    assert.equal(abilityOf(queue), "rerank");
    assert.equal(abilityOf("org/bge m3"), undefined);
    assert.equal(queueLabel(queue), "org/bge m3 (rerank)");
    assert.notEqual(modelNameProblem(queue), undefined);
  });

  it("is read for those cards that tell it", () => {
    const [worker] = [
      readWorkerAnnouncement({
        id: "w1",
        backends: [
          {
            name: "b",
            models: [
              { key: "m", endpoints: ["rerank", "new-thing", 7, "Bad ability", "x\u001fy"] },
              { key: "old" },
              { key: "odd", endpoints: "rerank" },
            ],
          },
        ],
      }),
    ];
    const [able, old, odd] = worker?.backends[0]?.models ?? [];
    assert.ok(able !== undefined && old !== undefined && odd !== undefined);
    assert.deepEqual(able.endpoints, ["rerank", "new-thing"]);
    assert.deepEqual(queuesOf(old), ["old"]);
    assert.deepEqual(queuesOf(odd), ["odd"]);
    assert.deepEqual(queuesOf(able).map(queueLabel), ["m", "m (rerank)", "m (new-thing)"]);
    assert.ok(servesQueue(able, queueFor("m", "openai-rerank")) && servesQueue(able, "m"));
    assert.ok(!servesQueue(able, queueFor("m", "openai-score")));
    assert.ok(!servesQueue(old, queueFor("old", "openai-rerank")));
  });

  it("is never what stands for none in the key of a queue", () => {
    const keys = new Keys("sgnet");
    for (const ability of ["p0", "p00", "p"]) {
      const shared = keys.queue(`m\u001f${ability}`) === keys.queue("m");
      assert.equal(isAbility(ability), !shared, ability);
    }
  });

  it("has a plain name", () => {
    for (const ability of Object.values(ABILITIES)) assert.match(ability, /^[a-z][a-z0-9-]*$/);
  });
});
