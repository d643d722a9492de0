import assert from "node:assert/strict";
import test from "node:test";
import { BLANK_CARD, readWorkerAnnouncement } from "../../src/core/announcement.ts";
import { announcedEndpoints } from "../../src/commands/doctor-fleet.ts";

function card(key: string, endpoints: readonly string[]): object {
  return { ...BLANK_CARD, key, name: key.toUpperCase(), endpoints };
}

test("doctor tells which endpoints the models of a backend have, alike ones together", () => {
  const many = Array.from({ length: 7 }, (_, index) => card(`m${index}`, ["tokenize"]));
  const worker = readWorkerAnnouncement({
    id: "w1",
    backends: [
      { name: "vllm@h:8000", models: [card("bge", ["rerank", "score"]), ...many, card("chat", [])] },
      { name: "ollama@h:1", models: [card("chat", [])] },
    ],
  });
  assert.ok(worker !== undefined);
  assert.deepEqual(
    announcedEndpoints([worker]).map(({ ok, text }) => [ok, text]),
    [
      [true, "vllm@h:8000 of worker w1: BGE has rerank, score"],
      [true, "vllm@h:8000 of worker w1: M0, M1, M2, M3, M4 and 2 more have tokenize"],
    ],
  );
});
