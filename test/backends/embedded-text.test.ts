import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Token } from "node-llama-cpp";
import { loadLibrary } from "../../src/backends/embedded/library.ts";
import { openProgress } from "../../src/backends/embedded/progress.ts";
import { samplerOf } from "../../src/backends/embedded/sampler.ts";
import { grammarSchema } from "../../src/backends/embedded/schema.ts";
import { SlotPool } from "../../src/backends/embedded/slots.ts";
import { StopFilter } from "../../src/backends/embedded/stop-filter.ts";
import { TokenText } from "../../src/backends/embedded/token-text.ts";
import { modelNameOf } from "../../src/backends/embedded/weights.ts";
import type { Sampling } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { isModelName } from "../../src/core/model.ts";

const filter = (stops: readonly string[], pieces: readonly string[]): string => {
  const stopFilter = new StopFilter(stops);
  let text = "";
  for (const piece of pieces) {
    const passed = stopFilter.push(piece);
    text += passed.text;
    if (passed.stopped) return text;
  }
  return text + stopFilter.end();
};

/** The same by looking at one more character at a time. */
const cutAtStop = (stops: readonly string[], whole: string): string => {
  for (let end = 1; end <= whole.length; end++) {
    const seen = whole.slice(0, end);
    const found = stops.filter((stop) => stop !== "" && seen.endsWith(stop));
    if (found.length > 0) return seen.slice(0, -Math.max(...found.map((stop) => stop.length)));
  }
  return whole;
};

/** A vocabulary of 256 tokens of one byte each: every character of more than one byte is split. */
const bytesToText = (tokens: readonly Token[]): string => Buffer.from(tokens).toString();
const tokensOf = (text: string): Token[] => [...Buffer.from(text)] as Token[];

const optionsOf = (sampling: Sampling, generated: readonly Token[] = []) =>
  samplerOf({ sampling, generated, random: () => 0.5 });

const refusal = (schema: JsonObject): unknown => {
  try {
    return grammarSchema(schema);
  } catch (error) {
    return error instanceof Fault ? error.code : error;
  }
};

const show = (terminal: boolean): string => {
  let shown = "";
  const write = (text: string): void => void (shown += text);
  const progress = openProgress({ label: "model", total: 100e6, write, terminal });
  for (let percent = 0; percent <= 100; percent++) progress.at(percent * 1e6);
  progress.close();
  return shown;
};

describe("stop filter", () => {
  it("cuts at the stop string that is complete first, however the text is split", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 4 });
    fc.assert(
      fc.property(fc.array(letters), fc.array(letters, { maxLength: 3 }), (pieces, stops) => {
        assert.equal(filter(stops, pieces), cutAtStop(stops, pieces.join("")));
      }),
      { numRuns: 1000 },
    );
  });

  it("passes on at once what cannot begin a stop string", () => {
    assert.deepEqual(new StopFilter(["END"]).push("hello E"), { text: "hello ", stopped: false });
  });
});

describe("token text", () => {
  it("gives whole characters only, and all of them", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const reader = new TokenText(bytesToText);
        const pieces = tokensOf(text).map((token) => reader.push(token));
        assert.ok(pieces.every((piece) => !piece.includes("\uFFFD") || text.includes("\uFFFD")));
        assert.equal(pieces.join("") + reader.end(), text);
      }),
    );
  });

  it("drops half a character at the end, and does not wait for ever on bytes that are none", () => {
    const cut = new TokenText(bytesToText);
    const pieces = tokensOf("a🍎")
      .slice(0, 3)
      .map((token) => cut.push(token));
    assert.equal(pieces.join("") + cut.end(), "a");
    const broken = new TokenText(bytesToText);
    const texts = Array.from({ length: 20 }, () => broken.push(0xff as Token));
    assert.ok(texts.join("").length > 0);
  });
});

describe("slot pool", { timeout: 120_000 }, () => {
  const never = new AbortController().signal;

  it("hands slots to waiting callers in order, and forgets callers that leave", async () => {
    const pool = new SlotPool(["only"]);
    const slot = await pool.take(never);
    const leaving = new AbortController();
    const left = pool.take(leaving.signal);
    const stayed = pool.take(never);
    leaving.abort(new Error("gone"));
    await assert.rejects(left, /gone/);
    pool.release(slot);
    assert.equal(await stayed, "only");
    pool.release("only");
    assert.equal(await pool.take(never), "only");
  });
});

describe("sampler", () => {
  it("keeps wild values inside of what the native code takes", () => {
    const wild = optionsOf({ temperature: -1, topP: 7, minP: -7, topK: -5.5, seed: 2 ** 40 + 3.7 });
    assert.partialDeepStrictEqual(wild, { temperature: 0, topP: 1, minP: 0, topK: 0, seed: 3 });
  });

  it("draws a seed where none is asked for", () => {
    assert.equal(optionsOf({}).seed, 2 ** 31);
    assert.equal(optionsOf({ seed: -1 }).seed, 2 ** 31);
    assert.equal(optionsOf({ seed: 0 }).seed, 0);
  });

  it("penalises the last generated tokens, as many as asked", () => {
    const generated = [1, 2, 3, 4] as Token[];
    const punished = (repeatLastN: number): unknown => {
      const punish = optionsOf({ repeatLastN }, generated).repeatPenalty?.punishTokens;
      return typeof punish === "function" ? punish() : punish;
    };
    assert.deepEqual(punished(2), [3, 4]);
    assert.deepEqual(punished(0), []);
    assert.deepEqual(punished(-1), [1, 2, 3, 4]);
  });
});

describe("schema of a grammar", () => {
  it("translates what clients generate from classes", () => {
    const schema = {
      title: "Person",
      $defs: { Pet: { properties: { name: { type: "string", title: "Name" } } } },
      properties: {
        pet: { anyOf: [{ $ref: "#/$defs/Pet" }, { type: "null" }] },
        tags: { items: { type: "string" }, maxItems: 3 },
        any: {},
        size: { type: ["string", "null"], maxLength: 4 },
      },
      required: ["pet"],
    } satisfies JsonObject;
    const { properties, $defs, type } = grammarSchema(schema);
    assert.equal(type, "object");
    assert.partialDeepStrictEqual(properties, {
      pet: { oneOf: [{ $ref: "#/$defs/Pet" }, { type: "null" }] },
      tags: { type: "array", items: { type: "string" }, maxItems: 3 },
      size: { oneOf: [{ type: "string", maxLength: 4 }, { type: "null" }] },
    });
    assert.partialDeepStrictEqual($defs, { Pet: { properties: { name: { type: "string" } } } });
  });

  it("refuses what a grammar cannot promise", () => {
    const bad: readonly JsonObject[] = [
      { type: "string", pattern: "^a$" },
      { type: "bogus" },
      { $ref: "#/$defs/Missing" },
      { $ref: "http://example.org/schema" },
      { type: "string", maxLength: 1e9 },
      { type: "array", minItems: -1 },
      { allOf: [{ type: "object" }, { type: "object" }] },
      { anyOf: [] },
      { enum: [{}] },
    ];
    assert.deepEqual(
      bad.map(refusal),
      bad.map(() => "unsupported"),
    );
    let deep: JsonObject = { type: "string" };
    for (let level = 0; level < 5000; level++) deep = { type: "array", items: deep };
    assert.equal(refusal(deep), "unsupported");
  });

  it("takes a property called __proto__ as a property", () => {
    const schema = JSON.parse('{"properties":{"__proto__":{"type":"string"}}}') as JsonObject;
    const { properties } = grammarSchema(schema);
    assert.deepEqual(Object.keys(properties as JsonObject), ["__proto__"]);
  });
});

describe("weights and their fetching", () => {
  it("makes a model name of any file name", () => {
    assert.equal(modelNameOf("/models/My Model.gguf"), "My-Model");
    assert.equal(modelNameOf("C:\\models\\qwen3-0.6b.GGUF"), "qwen3-0.6b");
    fc.assert(fc.property(fc.string(), (path) => assert.ok(isModelName(modelNameOf(path)))));
  });

  it("shows a bar on a terminal and a few plain lines elsewhere", () => {
    assert.match(show(true), /\rmodel \[#{15}\.{15}\] 50 % of 100\.0 MB.*\n$/s);
    assert.deepEqual(show(false).match(/\d+ %/g), ["0 %", "25 %", "50 %", "75 %", "100 %"]);
  });

  it("says in one sentence that the optional package is missing", async () => {
    const hooks = registerHooks({
      resolve: (specifier, context, next) => {
        if (specifier === "node-llama-cpp") throw new Error("not installed");
        return next(specifier, context);
      },
    });
    await assert.rejects(loadLibrary(""), { code: "not_implemented", message: /node-llama-cpp/ });
    hooks.deregister();
  });
});
