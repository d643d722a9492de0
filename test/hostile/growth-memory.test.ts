import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { PROFILES } from "../../src/backends/profiles.ts";
import { WholeReceiver } from "../../src/backends/http.ts";
import { BodyCollector } from "../../src/gateway/http/body-collector.ts";
import type { UwsReply } from "../../src/gateway/http/reply.ts";
import type { NativeResponse } from "../../src/gateway/http/uws.ts";
import { replyBuffer } from "../../src/protocols/reply-limits.ts";
import { LineSplitter, LineAligner } from "../../src/wire/lines.ts";
import { SseSplitter } from "../../src/wire/sse.ts";

/** Memory held for an endless input in the smallest pieces is a few times the input's bytes, at any size. */

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const SIZES = [1 << 15, 1 << 17, 1 << 19];
/** Bytes of memory for a byte of input. */
const MOST_PER_BYTE = 12;
/** The memory held from the first byte on, and the memory that the engine keeps for itself (bytes). */
const FLOOR = 300_000;

function held(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Holder {
  /** Gives the holder pieces of a byte; the holder, so that it stays. */
  readonly fill: (pieces: Iterable<Buffer>) => unknown;
}

function pieces(bytes: number, text: string): Iterable<Buffer> {
  const one = Buffer.alloc(64 * 1024, text);
  return {
    *[Symbol.iterator]() {
      // Views of one block, as a socket gives them.
      for (let at = 0; at < bytes; at += 1)
        yield Buffer.from(one.subarray(at % one.length, (at % one.length) + 1));
    },
  };
}

type OnData = Parameters<NativeResponse["onData"]>[0];

/** A body without a length, of which the end does not come. */
function collect(bytes: Iterable<Buffer>): unknown {
  let take: OnData | undefined;
  const native = { onData: (callback: OnData) => (take = callback) };
  new BodyCollector(1 << 24, undefined).collect({ native } as unknown as UwsReply, undefined, () => {});
  for (const piece of bytes) take?.(new Uint8Array(piece).buffer, false);
  return take;
}

const HOLDERS: Readonly<Record<string, Holder>> = {
  "the body of a request": { fill: collect },
  "a reply in one piece": {
    fill: (all) => {
      const gathered = replyBuffer();
      for (const piece of all) gathered.add(piece);
      return gathered;
    },
  },
  "an error, or a list of models": {
    fill: (all) => {
      const receiver = new WholeReceiver();
      for (const piece of all) receiver.onChunk(piece);
      return receiver;
    },
  },
  "a line": {
    fill: (all) => {
      const splitter = new LineSplitter();
      for (const piece of all) splitter.push(piece);
      return splitter;
    },
  },
  "a relayed line": {
    fill: (all) => {
      const lines = new LineAligner();
      for (const piece of all) lines.push(piece);
      return lines;
    },
  },
  "an event": {
    fill: (all) => {
      const splitter = new SseSplitter();
      for (const piece of all) splitter.push(piece);
      return splitter;
    },
  },
  ...Object.fromEntries(
    Object.entries({ ollama: PROFILES.ollama, openai: PROFILES.openai }).map(([name, { codec }]) => [
      `a reader of ${name}`,
      {
        fill: (all: Iterable<Buffer>): unknown => {
          const messages = [{ role: "user" as const, content: [] }];
          const request = { kind: "chat" as const, messages, sampling: {}, runner: {}, stream: true };
          const reader = codec.reader({ request, stream: true });
          for (const piece of all) for (const _part of reader.push(piece));
          return reader;
        },
      },
    ]),
  ),
};

describe("the memory for an input grows no faster than the input", () => {
  for (const [name, { fill }] of Object.entries(HOLDERS)) {
    it(name, (t) => {
      const perByte = SIZES.map((bytes) => {
        const before = held();
        const kept = fill(pieces(bytes, "a"));
        const grown = held() - before;
        assert.ok(kept !== null);
        assert.ok(grown < FLOOR + MOST_PER_BYTE * bytes, `${grown} bytes for ${bytes}`);
        return grown / bytes;
      });
      t.diagnostic(`per byte: ${perByte.map((value) => value.toFixed(1)).join(", ")}`);
    });
  }
});
