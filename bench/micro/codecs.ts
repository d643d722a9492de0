/** Codecs: the packing of records for Redis, and the splitting of streams. */
import type { Frame } from "../../src/core/frame.ts";
import type { Task } from "../../src/core/task.ts";
import { decodeFrames, encodeFrame } from "../../src/wire/frame-codec.ts";
import { LineSplitter, LineAligner } from "../../src/wire/lines.ts";
import { SseSplitter } from "../../src/wire/sse.ts";
import { decodeTask, encodeTask } from "../../src/wire/task-codec.ts";
import { replyLines } from "../replies.ts";
import type { SimEndpoint } from "../replies.ts";
import type { Job } from "./stopwatch.ts";

/** Tokens of the streams that are worked on. */
export const TOKENS = 200;
const BODY = 1000;
const ATTEMPT = 115_000_000_000_000;

/** The lines or events of a backend's streamed reply, as bytes. */
export function backendLines(endpoint: SimEndpoint): readonly Buffer[] {
  const shape = { endpoint, model: "llama3.2", tokens: TOKENS, stream: true, usage: true };
  return replyLines(shape).map((line) => Buffer.from(line));
}

function frame(seq: number, bytes: Buffer): Frame {
  return { task: "g0123456789ab.4f2", attempt: ATTEMPT, seq, bytes };
}

function task(): Task {
  const text = "x".repeat(BODY);
  return {
    id: "g0123456789ab.4f2",
    endpoint: "ollama-chat",
    model: "llama3.2",
    stream: true,
    createdAt: 1_780_000_000_000,
    deadline: 1_780_003_600_000,
    requestId: "req-0123456789abcdef",
    trace: "",
    body: Buffer.from(JSON.stringify({ model: "llama3.2", messages: [{ role: "user", content: text }] })),
  };
}

function job(name: string, units: number, run: () => unknown): Job {
  return { group: "codec", name, units, run };
}

/** The yardstick first: parsing one line as JSON, which no reader of lines can do without. */
export function codecJobs(): readonly Job[] {
  const ndjson = backendLines("/api/chat");
  const events = backendLines("/v1/chat/completions");
  const [line = Buffer.alloc(0)] = ndjson;
  const packed = encodeFrame(frame(7, line));
  const eight = Buffer.concat(Array.from({ length: 8 }, (_, seq) => encodeFrame(frame(seq + 1, line))));
  const [asked, askedBytes] = [task(), encodeTask(task(), true)];
  const lines = Buffer.concat(ndjson);
  return [
    job("yardstick: JSON.parse of a line", 1, () => JSON.parse(line.toString()) as unknown),
    job("frame, pack", 1, () => encodeFrame(frame(7, line))),
    job("frame, unpack, one in a message", 1, () => decodeFrames(packed)),
    job("frame, unpack, eight in a message", 8, () => decodeFrames(eight)),
    job(`task with ${BODY} bytes, pack`, 1, () => encodeTask(asked, true)),
    job(`task with ${BODY} bytes, unpack`, 1, () => decodeTask(askedBytes)),
    job("NDJSON into lines, a line at once", ndjson.length, () => {
      const splitter = new LineSplitter();
      return ndjson.map((chunk) => splitter.push(chunk));
    }),
    job("NDJSON into lines, all at once", ndjson.length, () => new LineSplitter().push(lines)),
    job("NDJSON relayed whole, a line at once", ndjson.length, () => {
      const whole = new LineAligner();
      return ndjson.map((chunk) => whole.push(chunk));
    }),
    job("SSE relayed whole, an event at once", events.length, () => {
      const splitter = new SseSplitter();
      return events.map((chunk) => splitter.push(chunk));
    }),
  ];
}
