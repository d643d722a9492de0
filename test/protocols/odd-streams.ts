import * as fc from "fast-check";
import { TOOL_NAMES } from "./crossing.ts";

/** Streams of OpenAI-compatible servers, built at random out of the odd shapes that such servers have. */

export interface OddStream {
  /** The text of the answer. */
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly { readonly name: string; readonly arguments: string }[];
  readonly end: "stop" | "length";
  /** The stream without `[DONE]`, and what ends it. */
  readonly body: Buffer;
  readonly done: Buffer;
  /** True when the last chunk before `[DONE]` is a sure end by itself. */
  readonly isSure: boolean;
}

interface Call {
  readonly name: string;
  readonly written: string;
  /** Where the arguments and the name are cut. */
  readonly cuts: readonly number[];
}

/** The oddity of the whole stream. */
interface Habit {
  /** The reason in every chunk but the last. */
  readonly reason: unknown;
  readonly content: "text" | "parts" | "part";
  readonly thoughts: "reasoning" | "reasoning_content" | "both" | "parts";
  readonly index: "right" | "zero" | "none";
  readonly repeatsName: boolean;
  readonly nameInPieces: boolean;
  readonly lineEnd: "\n" | "\r\n" | "\r";
  readonly space: "" | " ";
  readonly usage: "last" | "each" | "none";
  readonly done: string;
}

const words = fc.string({ minLength: 1, maxLength: 6, unit: "grapheme" });
const call: fc.Arbitrary<Call> = fc.record({
  name: fc.constantFrom(...TOOL_NAMES),
  written: fc.dictionary(words, fc.oneof(words, fc.nat())).map((values) => JSON.stringify(values)),
  cuts: fc.array(fc.nat({ max: 40 }), { maxLength: 3 }),
});
const habit: fc.Arbitrary<Habit> = fc.record({
  reason: fc.constantFrom(null, "", "null", undefined, "stop"),
  content: fc.constantFrom("text", "parts", "part"),
  thoughts: fc.constantFrom("reasoning", "reasoning_content", "both", "parts"),
  index: fc.constantFrom("right", "zero", "none"),
  repeatsName: fc.boolean(),
  nameInPieces: fc.boolean(),
  lineEnd: fc.constantFrom("\n", "\r\n", "\r"),
  space: fc.constantFrom("", " "),
  usage: fc.constantFrom("last", "each", "none"),
  done: fc.constantFrom("[DONE]", "[DONE] ", " [DONE]"),
});
const heartbeat = fc.constantFrom(
  ": keep-alive",
  "data:",
  "data: ",
  "event: ping|data: hello",
  'event: ping|data: {"type":"ping"}',
  "event: keepalive|data:",
);

/** A text in pieces at the given places. */
function piecesOf(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].toSorted((a, b) => a - b);
  return [...places, text.length].map((end, index) => text.slice(places[index - 1] ?? 0, end));
}

function textDelta(text: string, { content }: Habit): object {
  if (content === "text") return { content: text };
  const part = { type: "text", text };
  return { content: content === "part" ? part : [part] };
}

function thoughtDelta(text: string, { thoughts }: Habit): object {
  switch (thoughts) {
    case "both":
      return { content: null, reasoning: text, reasoning_content: text };
    case "parts":
      return { content: [{ type: "thinking", thinking: [{ type: "text", text }] }] };
    case "reasoning":
    case "reasoning_content":
      return { content: "", [thoughts]: text };
  }
}

function callDeltas({ name, written, cuts }: Call, number: number, own: Habit): object[] {
  const fragmentOf = (called: object): object => {
    const id = `call_of_${number}`;
    if (own.index === "none") return { tool_calls: [{ id, function: called }] };
    return { tool_calls: [{ index: own.index === "zero" ? 0 : number, id, function: called }] };
  };
  const [first = "", ...rest] = own.nameInPieces ? piecesOf(name, [2]) : [name];
  const pieces = piecesOf(written, cuts).map((piece) => {
    return own.repeatsName ? { name, arguments: piece } : { arguments: piece };
  });
  const named = [{ name: first, arguments: "" }, ...rest.map((piece) => ({ name: piece }))];
  return [...named, ...pieces].map(fragmentOf);
}

export const oddStream: fc.Arbitrary<OddStream> = fc
  .record({
    thinking: fc.array(words, { maxLength: 3 }),
    text: fc.array(words, { maxLength: 4 }),
    calls: fc.array(call, { maxLength: 3 }),
    end: fc.constantFrom("stop" as const, "length" as const),
    own: habit,
    beats: fc.array(fc.tuple(fc.nat({ max: 20 }), heartbeat), { maxLength: 4 }),
  })
  .map(({ thinking, text, calls, end, own, beats }) => {
    const deltas = [
      { role: "assistant", content: "" },
      ...thinking.map((piece) => thoughtDelta(piece, own)),
      ...text.map((piece) => textDelta(piece, own)),
      ...calls.flatMap((one, number) => callDeltas(one, number, own)),
    ];
    const usage = { prompt_tokens: 5, completion_tokens: 3 };
    const each = own.usage === "each" ? { usage } : {};
    const chunks: string[] = deltas.map((delta) =>
      JSON.stringify({ choices: [{ index: 0, delta, finish_reason: own.reason }], ...each }),
    );
    chunks.push(JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: end }], ...each }));
    if (own.usage === "last") chunks.push(JSON.stringify({ choices: [], usage }));
    const events = chunks.map((json) => `data:${own.space}${json}`);
    for (const [at, beat] of beats) events.splice(at % (events.length + 1), 0, beat);
    const bytesOf = (list: readonly string[]): Buffer => {
      const lines = list.map((event) => event.replaceAll("|data", `${own.lineEnd}data`));
      return Buffer.from(lines.map((event) => event + own.lineEnd + own.lineEnd).join(""));
    };
    const isSure = own.reason !== "stop";
    return {
      text: text.join(""),
      thinking: thinking.join(""),
      calls: calls.map(({ name, written }) => ({ name, arguments: written })),
      end,
      body: bytesOf(events),
      done: bytesOf([`data:${own.space}${own.done}`]),
      isSure,
    };
  });
