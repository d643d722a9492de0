import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { readGatewayAnnouncement, readWorkerAnnouncement } from "../../src/core/announcement.ts";

describe("announcements", () => {
  it("keep what is known and what is not", () => {
    const card = {
      key: "m",
      name: "M",
      modifiedAt: 1,
      size: 2,
      digest: "d",
      format: "f",
      family: "f",
      parameterSize: "p",
      quantization: "q",
      contextLength: 3,
      embeddingLength: 4,
      capabilities: ["tools"],
      ownedBy: "o",
      resident: true,
      load: { size: 5, sizeVram: 6, expiresAt: 7, contextLength: 8 },
      newer: true,
    };
    const backend = {
      name: "b",
      kind: "k",
      url: "u",
      slots: 1,
      busy: 1,
      healthy: true,
      models: [card],
      gates: [{ model: "m", state: "open" }],
      newer: {},
    };
    const worker = {
      id: "w",
      version: "1",
      host: "h",
      pid: 1,
      startedAt: 1,
      seenAt: 1,
      draining: true,
      backends: [backend],
      newer: [1],
    };
    assert.deepEqual(readWorkerAnnouncement(worker), worker);
    const gateway = {
      tag: "g",
      version: "1",
      host: "h",
      pid: 1,
      port: 1,
      listen: "l",
      startedAt: 1,
      seenAt: 1,
      open: 1,
      tokensPerSecond: { m: 1.5 },
      server: "s",
      newer: null,
    };
    assert.deepEqual(readGatewayAnnouncement(gateway), gateway);
  });

  it("leave out what has no name, and mend what is of another type", () => {
    const worker = readWorkerAnnouncement({
      id: "w",
      pid: "1",
      backends: [
        { name: "b", models: [{ key: "m", capabilities: [1, "x"], load: 5 }, { key: 1 }, null] },
        7,
        {},
      ],
    });
    assert.equal(worker?.pid, 0);
    assert.deepEqual(
      worker.backends.map(({ name, models }) => [name, models.map(({ key }) => key)]),
      [["b", ["m"]]],
    );
    const [card] = worker.backends[0]?.models ?? [];
    assert.deepEqual([card?.name, card?.capabilities, card?.load], ["m", ["x"], undefined]);
    assert.equal(readWorkerAnnouncement({ backends: [] }), undefined);
    assert.equal(readGatewayAnnouncement([]), undefined);
    assert.deepEqual(
      readGatewayAnnouncement({ tag: "g", tokensPerSecond: { a: "1", b: 2 } })?.tokensPerSecond,
      { b: 2 },
    );
  });

  it("of any shape have the types that are promised, and change no prototype", () => {
    const name = fc.constantFrom(
      "id",
      "tag",
      "backends",
      "models",
      "key",
      "name",
      "slots",
      "capabilities",
      "load",
    );
    const member = fc.letrec((tie) => ({
      any: fc.oneof(fc.jsonValue(), fc.dictionary(name, tie("any")), fc.array(tie("any"), { maxLength: 3 })),
    })).any;
    fc.assert(
      fc.property(fc.dictionary(name, member), fc.array(member, { maxLength: 3 }), (value, backends) => {
        const worker = readWorkerAnnouncement({ ...value, id: "w", backends });
        const cards = worker?.backends.flatMap(({ models, slots }) => {
          assert.equal(typeof slots, "number");
          return models;
        });
        for (const card of cards ?? []) {
          assert.equal(typeof card.key + typeof card.name + typeof card.size, "stringstringnumber");
          assert.ok(card.capabilities.every((one) => typeof one === "string"));
        }
      }),
    );
    readWorkerAnnouncement(JSON.parse('{"id":"w","__proto__":{"polluted":1},"backends":[]}'));
    assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
  });
});
