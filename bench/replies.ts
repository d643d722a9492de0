/** The simulated backend's replies, ready as bytes: built once per shape, then only written. */
import { answerText, tokenText } from "./tokens.ts";

/** Endpoints of the simulated backend that answer with tokens. */
export type SimEndpoint = "/api/chat" | "/api/generate" | "/v1/chat/completions";

/** Properties that determine a reply's bytes. */
export interface ReplyShape {
  readonly endpoint: SimEndpoint;
  readonly model: string;
  readonly tokens: number;
  readonly stream: boolean;
  /** OpenAI streams: with a usage chunk before the end. */
  readonly usage: boolean;
}

/** A reply in the pieces it is written in; the first has the HTTP head, the last the end of the reply. */
export interface Reply {
  readonly pieces: readonly Buffer[];
  /** All pieces in one, for replies that are written at once. */
  readonly whole: Buffer;
}

const PROMPT_TOKENS = 26;
const CREATED_AT = "2026-01-01T00:00:00.000000000Z";
const CREATED = 1_767_225_600;

/** Bytes of a complete response with a JSON body. */
export function jsonResponse(status: number, body: unknown): Buffer {
  const text = JSON.stringify(body);
  return Buffer.from(
    `HTTP/1.1 ${status} ${status === 200 ? "OK" : "Error"}\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}

/** Builds the reply of a shape. */
export function buildReply(shape: ReplyShape): Reply {
  const ollama = shape.endpoint !== "/v1/chat/completions";
  if (!shape.stream) {
    const whole = jsonResponse(200, ollama ? ollamaWhole(shape) : openaiWhole(shape));
    return { pieces: [whole], whole };
  }
  const lines = ollama ? ollamaLines(shape) : openaiLines(shape);
  const head =
    `HTTP/1.1 200 OK\r\nContent-Type: ${ollama ? "application/x-ndjson" : "text/event-stream"}\r\n` +
    "Transfer-Encoding: chunked\r\n\r\n";
  const pieces = lines.map(
    (line, index) =>
      (index === 0 ? head : "") + httpChunk(line) + (index === shape.tokens - 1 ? ending(shape) : ""),
  );
  return { pieces: pieces.map((piece) => Buffer.from(piece)), whole: Buffer.from(pieces.join("")) };
}

/** The lines (Ollama) or events (OpenAI) of a streamed reply, the last ones those that end it. */
export function replyLines(shape: ReplyShape): readonly string[] {
  return shape.endpoint === "/v1/chat/completions"
    ? [...openaiLines(shape), ...openaiTail(shape)]
    : [...ollamaLines(shape), ollamaTail(shape)];
}

function httpChunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function ending(shape: ReplyShape): string {
  const tail = shape.endpoint === "/v1/chat/completions" ? openaiTail(shape) : [ollamaTail(shape)];
  return `${tail.map(httpChunk).join("")}0\r\n\r\n`;
}

function ollamaText(shape: ReplyShape, text: string): Record<string, unknown> {
  const answer =
    shape.endpoint === "/api/chat" ? { message: { role: "assistant", content: text } } : { response: text };
  return { model: shape.model, created_at: CREATED_AT, ...answer };
}

function ollamaEnd(shape: ReplyShape): Record<string, unknown> {
  return {
    done: true,
    done_reason: "stop",
    total_duration: 5_000_000,
    load_duration: 1_000_000,
    prompt_eval_count: PROMPT_TOKENS,
    prompt_eval_duration: 1_000_000,
    eval_count: shape.tokens,
    eval_duration: 3_000_000,
  };
}

function ollamaWhole(shape: ReplyShape): unknown {
  return { ...ollamaText(shape, answerText(shape.tokens)), ...ollamaEnd(shape) };
}

function ollamaLines(shape: ReplyShape): string[] {
  return Array.from(
    { length: shape.tokens },
    (_, index) => `${JSON.stringify({ ...ollamaText(shape, tokenText(index)), done: false })}\n`,
  );
}

function ollamaTail(shape: ReplyShape): string {
  return `${JSON.stringify({ ...ollamaText(shape, ""), ...ollamaEnd(shape) })}\n`;
}

function openaiBase(shape: ReplyShape, object: string): Record<string, unknown> {
  return { id: "chatcmpl-1", object, created: CREATED, model: shape.model, system_fingerprint: "fp_sim" };
}

function openaiUsage(shape: ReplyShape): Record<string, number> {
  return {
    prompt_tokens: PROMPT_TOKENS,
    completion_tokens: shape.tokens,
    total_tokens: PROMPT_TOKENS + shape.tokens,
  };
}

function openaiWhole(shape: ReplyShape): unknown {
  const message = { role: "assistant", content: answerText(shape.tokens) };
  return {
    ...openaiBase(shape, "chat.completion"),
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: openaiUsage(shape),
  };
}

function openaiChunk(shape: ReplyShape, rest: Record<string, unknown>): string {
  return `data: ${JSON.stringify({ ...openaiBase(shape, "chat.completion.chunk"), ...rest })}\n\n`;
}

function openaiLines(shape: ReplyShape): string[] {
  return Array.from({ length: shape.tokens }, (_, index) => {
    const delta = { role: "assistant", content: tokenText(index) };
    return openaiChunk(shape, { choices: [{ index: 0, delta, finish_reason: null }] });
  });
}

function openaiTail(shape: ReplyShape): string[] {
  const stop = openaiChunk(shape, { choices: [{ index: 0, delta: { content: "" }, finish_reason: "stop" }] });
  const usage = shape.usage ? [openaiChunk(shape, { choices: [], usage: openaiUsage(shape) })] : [];
  return [stop, ...usage, "data: [DONE]\n\n"];
}
