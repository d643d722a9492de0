import type { FixedAnswer } from "./stand-in.ts";

/** A model that does what a script says: it calls a tool, reads the result, calls the next one, and answers. */

export interface Step {
  /** The tool's name, or the end of it: agents and gateways put prefixes before it. */
  readonly tool: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

export interface ModelScript {
  /** One after another, for each result of a tool that the conversation has. */
  readonly steps: readonly Step[];
  /** The text at the end. */
  readonly answer: string;
  /** The task of a subagent, which is answered at once. */
  readonly aside?: string;
  /** For a conversation that its client shortens. */
  readonly long?: LongScript;
}

/** The model counts so many tokens that the client asks for a summary; after it the model answers. */
export interface LongScript {
  readonly promptTokens: number;
  /** Words of the request for a summary. */
  readonly asked: string;
}

/** The model's summary of a conversation that its client shortens. */
export const SUMMARY = "The note was read, and the answer is still to be told.";

interface Tool {
  readonly function: { readonly name: string };
}

/** The model's answer to one request. */
interface Saying {
  readonly text: string;
  readonly call?: { readonly id: string; readonly name: string; readonly arguments: object };
}

/** The answers of a stand-in to the chats of both dialects; `script` is asked at each. */
export function scriptedAnswers(
  script: () => ModelScript,
): Record<string, (body: Record<string, unknown>) => FixedAnswer> {
  return {
    "/api/chat": (body) => ollamaAnswer(body, saying(body, script()), script()),
    "/v1/chat/completions": (body) => openaiAnswer(body, saying(body, script()), script()),
  };
}

function saying(body: Record<string, unknown>, { steps, answer, aside, long }: ModelScript): Saying {
  const messages = body["messages"] as readonly { readonly role: string }[];
  const asked = JSON.stringify(messages.filter(({ role }) => role === "user"));
  if (long !== undefined && asked.includes(SUMMARY)) return { text: answer };
  if (long !== undefined && JSON.stringify(messages.at(-1)).includes(long.asked)) {
    return { text: `<summary>${SUMMARY}</summary>` };
  }
  if (aside !== undefined && asked.includes(aside)) return { text: "Hello." };
  const done = messages.filter(({ role }) => role === "tool").length;
  const step = steps[done];
  const names = ((body["tools"] ?? []) as readonly Tool[]).map((tool) => tool.function.name);
  const name = names.find(
    (one) => step !== undefined && (one === step.tool || one.endsWith(`__${step.tool}`)),
  );
  // Titles, subagents and the like are asked for without the tool that is next.
  if (step === undefined || name === undefined) return { text: answer };
  return { text: "I look.", call: { id: `call_${done}`, name, arguments: step.arguments } };
}

function ollamaAnswer(
  body: Record<string, unknown>,
  { text, call }: Saying,
  { long }: ModelScript,
): FixedAnswer {
  const model = String(body["model"]);
  const calls = call === undefined ? {} : { tool_calls: [{ id: call.id, function: call }] };
  const counts = { done_reason: "stop", prompt_eval_count: long?.promptTokens ?? 20, eval_count: 9 };
  const message = { role: "assistant", content: text, ...calls };
  if (body["stream"] === false) {
    return {
      contentType: "application/json",
      body: JSON.stringify({ model, message, done: true, ...counts }),
    };
  }
  const lines = [
    { model, message, done: false },
    { model, message: { role: "assistant", content: "" }, done: true, ...counts },
  ];
  return {
    contentType: "application/x-ndjson",
    body: lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
  };
}

function openaiAnswer(
  body: Record<string, unknown>,
  { text, call }: Saying,
  { long }: ModelScript,
): FixedAnswer {
  const reason = call === undefined ? "stop" : "tool_calls";
  const { promptTokens = 20 } = long ?? {};
  const usage = { prompt_tokens: promptTokens, completion_tokens: 9, total_tokens: promptTokens + 9 };
  const told = call && {
    id: call.id,
    type: "function",
    function: { name: call.name, arguments: JSON.stringify(call.arguments) },
  };
  const common = { id: "chatcmpl-1", created: 1, model: body["model"] };
  if (body["stream"] !== true) {
    const message = { role: "assistant", content: text, ...(told && { tool_calls: [told] }) };
    const choices = [{ index: 0, message, finish_reason: reason }];
    const whole = { ...common, object: "chat.completion", choices, usage };
    return { contentType: "application/json", body: JSON.stringify(whole) };
  }
  const deltas = [
    { role: "assistant", content: text },
    ...(told === undefined ? [] : [{ tool_calls: [{ index: 0, ...told }] }]),
  ];
  const choices = [
    ...deltas.map((delta) => [{ index: 0, delta, finish_reason: null }]),
    [{ index: 0, delta: {}, finish_reason: reason }],
  ];
  const events = [...choices.map((list) => ({ choices: list })), { choices: [], usage }];
  const lines = events.map((event) => {
    return `data: ${JSON.stringify({ ...common, object: "chat.completion.chunk", ...event })}\n\n`;
  });
  return { contentType: "text/event-stream", body: `${lines.join("")}data: [DONE]\n\n` };
}
