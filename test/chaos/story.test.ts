import assert from "node:assert/strict";
import test from "node:test";
import { GOOD } from "./good.ts";
import { addCodes } from "./story.ts";

test("the code of a request is its gateway's, whatever a worker logs of it later", () => {
  const asked = { ...GOOD, ending: "error" as const, code: undefined };
  const request = asked.wish.id;
  const lines = [
    { who: "gateway", line: JSON.stringify({ message: "request", request, code: "worker_lost" }) },
    { who: "worker", line: JSON.stringify({ message: "task taken over", request }) },
    { who: "worker", line: JSON.stringify({ message: "attempt failed", request, code: "backend_lost" }) },
  ];
  addCodes([asked], lines);
  assert.equal(asked.code, "worker_lost");
});
