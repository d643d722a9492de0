import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Part } from "../../src/core/chat.ts";
import { anthropicServerCodecs } from "../../src/protocols/anthropic/endpoints.ts";
import { parseArguments } from "../../src/protocols/tool-arguments.ts";
import { BlockSequence, type BlockStep, type Delta } from "../../src/protocols/blocks.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";
import { eventsIn, type Told } from "./shape.ts";

/** The content of a reply by block, for any split into pieces. */
interface Whole {
  readonly type: string;
  readonly text: string;
}

const text = fc.string({ minLength: 1, maxLength: 12, unit: "binary" });
const call = fc
  .dictionary(fc.string({ maxLength: 4 }), fc.string({ maxLength: 6 }))
  .map((args) => JSON.stringify(args));

/** Blocks in an order a reply can have: texts of one kind are never neighbours. */
const reply = fc
  .array(fc.oneof(fc.tuple(fc.constantFrom("text", "thinking"), text), fc.tuple(fc.constant("tool"), call)), {
    maxLength: 6,
  })
  .map((pairs) => pairs.map(([type, whole]): Whole => ({ type, text: whole })))
  .map((blocks) => blocks.filter(({ type }, index) => type === "tool" || type !== blocks[index - 1]?.type));

const cut = fc.array(fc.nat(), { maxLength: 12 });

/** The deltas of a reply: every text cut in pieces at the given places. */
function deltasOf(blocks: readonly Whole[], cuts: readonly number[]): Delta[] {
  let calls = 0;
  return blocks.flatMap(({ type, text: whole }): Delta[] => {
    const pieces = piecesOf(whole, cuts);
    if (type !== "tool") {
      const kind = type === "text" ? "text-delta" : "thinking-delta";
      return pieces.map((piece) => ({ type: kind, text: piece }));
    }
    const index = calls++;
    const first: Delta = { type: "tool-delta", index, id: `call_${index}`, name: "f", arguments: "" };
    return [first, ...pieces.map((piece): Delta => ({ type: "tool-delta", index, arguments: piece }))];
  });
}

function piecesOf(whole: string, cuts: readonly number[]): string[] {
  const places = cuts.map((place) => place % (whole.length + 1)).toSorted((a, b) => a - b);
  return [...places, whole.length].map((end, index) => whole.slice(places[index - 1] ?? 0, end));
}

function told(steps: readonly BlockStep[]): Whole[] {
  const blocks: { type: string; text: string }[] = [];
  let open: number | undefined;
  for (const step of steps) {
    const { index, type } = step.block;
    if (step.step === "open") {
      assert.equal(open, undefined, "one block at a time");
      assert.equal(index, blocks.length, "contiguous");
      blocks.push({ type, text: "" });
      open = index;
      continue;
    }
    assert.equal(index, open, "only the open block speaks");
    if (step.step === "close") open = undefined;
    else {
      const block = blocks[index];
      assert.ok(block);
      block.text += step.text;
    }
  }
  assert.equal(open, undefined, "all are closed");
  return blocks;
}

function stepsOf(deltas: readonly Delta[]): BlockStep[] {
  const sequence = new BlockSequence();
  return [...deltas.flatMap((delta) => sequence.push(delta)), ...sequence.end()];
}

function writerEvents(endpoint: string, deltas: readonly Delta[]): Told[] {
  const server = [...anthropicServerCodecs, ...openaiServerCodecs].find((one) => one.endpoint === endpoint);
  assert.ok(server);
  const body = {
    model: "m",
    max_tokens: 9,
    stream: true,
    input: "hi",
    messages: [{ role: "user", content: "hi" }],
  };
  const writer = server.reply({ model: "m", stream: true, id: "r.1", now: () => 2, startedAt: 1, body });
  const end: Part = { type: "end", reason: "stop", usage: { promptTokens: 3, completionTokens: 4 } };
  return eventsIn([...deltas, end].map((part) => writer.write(part)).join(""));
}

describe("a reply as blocks", () => {
  it("says the same at any split, one block after another", () => {
    fc.assert(
      fc.property(reply, cut, (blocks, cuts) => {
        assert.deepEqual(told(stepsOf(deltasOf(blocks, cuts))), blocks);
      }),
    );
  });

  it("tells the open block's deltas as they come", () => {
    const sequence = new BlockSequence();
    sequence.push({ type: "tool-delta", index: 0, id: "a", name: "f", arguments: "" });
    const steps = sequence.push({ type: "tool-delta", index: 0, arguments: '{"x":' });
    assert.deepEqual(
      steps.map((step) => (step.step === "delta" ? step.text : step.step)),
      ['{"x":'],
    );
  });

  it("keeps mixed fragments of several calls apart", () => {
    const steps = stepsOf([
      { type: "tool-delta", index: 0, id: "a", name: "f", arguments: '{"a":' },
      { type: "tool-delta", index: 1, id: "b", name: "g", arguments: '{"b":' },
      { type: "tool-delta", index: 0, arguments: "1}" },
      { type: "tool-delta", index: 1, arguments: "2}" },
      { type: "text-delta", text: "done" },
    ]);
    assert.deepEqual(told(steps), [
      { type: "tool", text: '{"a":1}' },
      { type: "tool", text: '{"b":2}' },
      { type: "text", text: "done" },
    ]);
  });

  it("refuses to go on with a call that was complete, but not its white space", () => {
    const sequence = new BlockSequence();
    sequence.push({ type: "tool-delta", index: 0, id: "a", name: "f", arguments: "{}" });
    sequence.push({ type: "text-delta", text: "x" });
    assert.deepEqual(sequence.push({ type: "tool-delta", index: 0, arguments: " \n" }), []);
    assert.throws(() => sequence.push({ type: "tool-delta", index: 0, arguments: "{}" }), {
      code: "backend_lost",
    });
  });

  it("reads arguments only from objects", () => {
    assert.deepEqual(parseArguments(" "), {});
    assert.deepEqual(parseArguments('{"a":1}'), { a: 1 });
    assert.deepEqual(parseArguments("null"), {});
    for (const wrong of ["[]", "1", "{"]) assert.equal(parseArguments(wrong), undefined);
  });
});

describe("Anthropic's events", () => {
  it("give the same message at any split, with contiguous indexes", () => {
    fc.assert(
      fc.property(reply, cut, (blocks, cuts) => {
        const events = writerEvents("anthropic-messages", deltasOf(blocks, cuts));
        assert.equal(events[0]?.event, "message_start");
        assert.deepEqual(
          events.slice(-2).map(({ event }) => event),
          ["message_delta", "message_stop"],
        );
        assert.deepEqual(messageBlocks(events), blocks);
      }),
    );
  });
});

const DELTA_TEXTS = ["text", "thinking", "partial_json"] as const;

function messageBlocks(events: readonly Told[]): Whole[] {
  const blocks: { type: string; text: string }[] = [];
  for (const { data } of events) {
    const { index, content_block: block, delta } = data as Record<string, Record<string, string> & number>;
    if (data["type"] === "content_block_start") {
      assert.equal(index, blocks.length);
      blocks.push({ type: (block?.["type"] ?? "").replace("tool_use", "tool"), text: "" });
    }
    const last = blocks.at(-1);
    if (data["type"] !== "content_block_delta" || last === undefined) continue;
    assert.equal(index, blocks.length - 1);
    for (const key of DELTA_TEXTS) last.text += delta?.[key] ?? "";
  }
  return blocks;
}

describe("the events of a response", () => {
  it("say the same at any split and in the finished response, numbered without a hole", () => {
    fc.assert(
      fc.property(reply, cut, (blocks, cuts) => {
        const events = writerEvents("openai-responses", deltasOf(blocks, cuts));
        assert.deepEqual(
          events.map(({ data }) => data["sequence_number"]),
          events.map((_, index) => index),
        );
        const done = events
          .filter(({ event }) => event === "response.output_item.done")
          .map(({ data }) => data["item"]);
        const { output } = (events.at(-1)?.data ?? {})["response"] as { output: object[] };
        assert.deepEqual(output, done);
        assert.deepEqual(output.map(wholeOf), blocks);
        assert.deepEqual(
          deltaTexts(events),
          blocks.map((block) => block.text),
        );
      }),
    );
  });
});

function wholeOf(item: object): Whole {
  const { type, content, summary, arguments: args } = item as Record<string, { text: string }[] & string>;
  if (type === "message") return { type: "text", text: content?.[0]?.text ?? "" };
  if (type === "reasoning") return { type: "thinking", text: summary?.[0]?.text ?? "" };
  return { type: "tool", text: args ?? "" };
}

function deltaTexts(events: readonly Told[]): string[] {
  const texts: string[] = [];
  for (const { event, data } of events) {
    if (event === "response.output_item.added") texts.push("");
    if (event.endsWith(".delta")) texts[data["output_index"] as number] += data["delta"] as string;
  }
  return texts;
}
