import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Part } from "../../src/core/chat.ts";
import { CHAT_ENDPOINTS, type ChatEndpoint, partsOf, readTold, relayed, translated } from "./crossing.ts";
import { type OddStream, oddStream } from "./odd-streams.ts";

/** The word for an end in each dialect. */
const ENDS: Readonly<Record<ChatEndpoint, Readonly<Record<"stop" | "length" | "calls", string>>>> = {
  "ollama-chat": { stop: "stop", length: "length", calls: "stop" },
  "openai-chat": { stop: "stop", length: "length", calls: "tool_calls" },
  "openai-responses": {
    stop: "completed",
    length: "incomplete max_output_tokens",
    calls: "completed",
  },
  "anthropic-messages": { stop: "end_turn", length: "max_tokens", calls: "tool_use" },
};

function expectedOf({ text, thinking, calls, end }: OddStream, to: ChatEndpoint): object {
  const how = end === "stop" && calls.length > 0 ? "calls" : end;
  return { text, thinking, calls, end: ENDS[to][how] };
}

/** The content of parts, whatever their cut. */
function saidIn(parts: readonly Part[]): object {
  const texts = { text: "", thinking: "", calls: [] as { name: string; arguments: string }[], end: "" };
  for (const part of parts) {
    if (part.type === "text-delta") texts.text += part.text;
    if (part.type === "thinking-delta") texts.thinking += part.text;
    if (part.type === "end") texts.end = part.reason;
    if (part.type !== "tool-delta") continue;
    const called = (texts.calls[part.index] ??= { name: "", arguments: "" });
    called.name += part.name ?? "";
    called.arguments += part.arguments;
  }
  return texts;
}

const cuts = fc.array(fc.nat({ max: 3000 }), { maxLength: 8 });
const from = "openai" as const;

describe("a stream of odd shapes, cut anywhere", () => {
  for (const to of CHAT_ENDPOINTS) {
    it(`says the same to a client of ${to}, streamed and whole`, () => {
      fc.assert(
        fc.property(oddStream, cuts, fc.boolean(), (odd, places, stream) => {
          const bytes = Buffer.concat([odd.body, odd.done]);
          const reply = translated({ from, to, stream, bytes, cuts: places });
          assert.deepEqual(readTold(to, reply, stream), expectedOf(odd, to));
        }),
        { numRuns: 200 },
      );
    });
  }

  it("says the same when it is relayed, streamed and whole", () => {
    fc.assert(
      fc.property(oddStream, cuts, (odd, places) => {
        const to = "openai-chat" as const;
        const bytes = Buffer.concat([odd.body, odd.done]);
        const stream = Buffer.from(relayed({ from, to, stream: true, bytes, cuts: places }));
        const direct = saidIn(partsOf({ from, to, stream: true, bytes }));
        assert.deepEqual(saidIn(partsOf({ from, to, stream: true, bytes: stream })), direct);
        // Parts that a client cannot read are left out.
        for (const line of stream.toString().split(/[\r\n]+/))
          assert.doesNotMatch(line, /^data:\s*$|^event:/);
        const whole = readTold(to, relayed({ from, to, stream: false, bytes, cuts: places }), false);
        const { text, calls, thinking } = odd;
        assert.deepEqual([whole.text, whole.calls, whole.end], [text, calls, odd.end]);
        if (whole.thinking !== "") assert.equal(whole.thinking, thinking);
      }),
      { numRuns: 200 },
    );
  });

  it("that ends without [DONE] is complete only when its last chunk is sure to be the end", () => {
    fc.assert(
      fc.property(oddStream, (odd) => {
        for (const to of CHAT_ENDPOINTS) {
          const run = (): unknown => translated({ from, to, stream: true, bytes: odd.body });
          if (odd.isSure) run();
          else assert.throws(run, { code: "backend_lost" });
        }
        const run = (): unknown => relayed({ from, to: "openai-chat", stream: true, bytes: odd.body });
        if (odd.isSure) run();
        else assert.throws(run, { code: "backend_lost" });
      }),
    );
  });

  it("that is cut before its end never looks complete", () => {
    fc.assert(
      fc.property(oddStream, fc.nat(), (odd, at) => {
        // The chunk with the end is the last that has a reason of its own.
        const last = odd.body.lastIndexOf('"delta":{},');
        const bytes = odd.body.subarray(0, at % (last + 1));
        for (const to of CHAT_ENDPOINTS)
          assert.throws(() => translated({ from, to, stream: true, bytes }), { code: "backend_lost" });
        assert.throws(() => relayed({ from, to: "openai-chat", stream: true, bytes }), {
          code: "backend_lost",
        });
      }),
    );
  });
});
