/**
 * Answers of the scripted backend at each endpoint of OpenAI and Anthropic. They are small and have every promised
 * type.
 */

/** One answer. */
export interface ScriptedAnswer {
  readonly contentType: string;
  readonly body: string | Buffer;
}

/** The fields of a request that choose its answer. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  /** The whole body; empty for a form. */
  readonly body: Readonly<Record<string, unknown>>;
}

const CREATED = 1_795_378_294;
const USAGE = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };

function json(document: object): ScriptedAnswer {
  return { contentType: "application/json", body: JSON.stringify(document) };
}

/** Server-sent events as OpenAI writes them; named ones when `named`, as in its newer streams. */
function events(list: readonly object[], { named, last }: { named: boolean; last: string }): ScriptedAnswer {
  const lines = list.map((event) => {
    const name = named ? `event: ${(event as { type: string }).type}\n` : "";
    return `${name}data: ${JSON.stringify(event)}\n\n`;
  });
  return { contentType: "text/event-stream", body: lines.join("") + last };
}

const DONE = { named: false, last: "data: [DONE]\n\n" };
const NAMED = { named: true, last: "" };

function chat({ model, stream }: Asked): ScriptedAnswer {
  const common = { id: "chatcmpl-1", created: CREATED, model };
  if (!stream) {
    const said = { role: "assistant", content: "Hello.", refusal: null };
    const choices = [{ index: 0, message: said, logprobs: null, finish_reason: "stop" }];
    return json({ ...common, object: "chat.completion", choices, usage: USAGE });
  }
  const chunk = (choices: readonly object[], more: object = {}): object => {
    return { ...common, object: "chat.completion.chunk", choices, ...more };
  };
  const delta = { role: "assistant", content: "Hello." };
  return events(
    [
      chunk([{ index: 0, delta, logprobs: null, finish_reason: null }]),
      chunk([{ index: 0, delta: {}, logprobs: null, finish_reason: "stop" }]),
      chunk([], { usage: USAGE }),
    ],
    DONE,
  );
}

function textChoice(text: string, reason: string | null): object {
  return { index: 0, text, logprobs: null, finish_reason: reason };
}

function completion({ model, stream }: Asked): ScriptedAnswer {
  const common = { id: "cmpl-1", object: "text_completion", created: CREATED, model };
  if (!stream) return json({ ...common, choices: [textChoice("Hello.", "stop")], usage: USAGE });
  return events(
    [
      { ...common, choices: [textChoice("Hello.", null)] },
      { ...common, choices: [textChoice("", "stop")] },
      { ...common, choices: [], usage: USAGE },
    ],
    DONE,
  );
}

function embeddings({ model, body }: Asked): ScriptedAnswer {
  const vector = [0.5, -0.5, 0.5, 0.5];
  const compact = Buffer.from(new Float32Array(vector).buffer).toString("base64");
  const embedding = body["encoding_format"] === "base64" ? compact : vector;
  const usage = { prompt_tokens: 3, total_tokens: 3 };
  return json({ object: "list", data: [{ object: "embedding", index: 0, embedding }], model, usage });
}

function response({ model, stream }: Asked): ScriptedAnswer {
  const text = { type: "output_text", text: "Hello.", annotations: [], logprobs: [] };
  const output = [{ id: "msg_1", type: "message", role: "assistant", status: "completed", content: [text] }];
  const usage = {
    input_tokens: 3,
    input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
    output_tokens: 2,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 5,
  };
  const fixed = { tool_choice: "auto", tools: [], parallel_tool_calls: true, metadata: {} };
  const whole = { id: "resp_1", object: "response", created_at: CREATED, model, ...fixed };
  const done = { ...whole, status: "completed", output, usage };
  if (!stream) return json(done);
  return events(
    [
      {
        type: "response.created",
        sequence_number: 0,
        response: { ...whole, status: "in_progress", output: [] },
      },
      { type: "response.completed", sequence_number: 1, response: done },
    ],
    NAMED,
  );
}

const CATEGORIES = [
  "self-harm",
  "self-harm/instructions",
  "self-harm/intent",
  "sexual",
  "violence",
  "violence/graphic",
  "harassment",
  "harassment/threatening",
  "hate",
  "hate/threatening",
  "illicit",
  "illicit/violent",
  "sexual/minors",
];

function ofAll<Value>(value: Value): Record<string, Value> {
  return Object.fromEntries(CATEGORIES.map((name) => [name, value]));
}

function moderation({ model }: Asked): ScriptedAnswer {
  const result = {
    flagged: false,
    categories: ofAll(false),
    category_scores: ofAll(0.01),
    category_applied_input_types: ofAll(["text"]),
  };
  return json({ id: "modr-1", model, results: [result] });
}

/** A picture of one dot. */
const DOT =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

function image({ stream }: Asked): ScriptedAnswer {
  const usage = {
    input_tokens: 3,
    input_tokens_details: { image_tokens: 0, text_tokens: 3 },
    output_tokens: 2,
    total_tokens: 5,
  };
  if (!stream) return json({ created: CREATED, data: [{ b64_json: DOT }], usage });
  const common = { b64_json: DOT, created_at: CREATED, background: "opaque", output_format: "png" };
  const more = { quality: "high", size: "1024x1024", usage };
  return events([{ type: "image_generation.completed", ...common, ...more }], NAMED);
}

function transcription({ stream }: Asked): ScriptedAnswer {
  if (!stream) return json({ text: "Hello.", usage: { type: "duration", seconds: 1 } });
  return events(
    [
      { type: "transcript.text.delta", delta: "Hello." },
      { type: "transcript.text.done", text: "Hello." },
    ],
    NAMED,
  );
}

/** The smallest MP3 frame: a head and silence. */
const SILENCE = Buffer.concat([Buffer.from([0xff, 0xfb, 0x10, 0xc4]), Buffer.alloc(100)]);

function message({ model, stream }: Asked): ScriptedAnswer {
  const usage = {
    input_tokens: 3,
    output_tokens: 2,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
  const whole = { id: "msg_1", type: "message", role: "assistant", model };
  const end = { stop_reason: "end_turn", stop_sequence: null };
  if (!stream) return json({ ...whole, content: [{ type: "text", text: "Hello." }], ...end, usage });
  const begun = { ...whole, content: [], stop_reason: null, stop_sequence: null, usage };
  return events(
    [
      { type: "message_start", message: begun },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hello." } },
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: end, usage: { output_tokens: 2 } },
      { type: "message_stop" },
    ],
    NAMED,
  );
}

/** By path, all of them for POST. */
export const ANSWERS: Readonly<Record<string, (asked: Asked) => ScriptedAnswer>> = {
  "/v1/chat/completions": chat,
  "/v1/completions": completion,
  "/v1/embeddings": embeddings,
  "/v1/responses": response,
  "/v1/moderations": moderation,
  "/v1/images/generations": image,
  "/v1/images/edits": image,
  "/v1/images/variations": image,
  "/v1/audio/transcriptions": transcription,
  "/v1/audio/translations": () => json({ text: "Hello." }),
  "/v1/audio/speech": () => ({ contentType: "audio/mpeg", body: SILENCE }),
  "/v1/messages": message,
  "/v1/messages/count_tokens": () => json({ input_tokens: 3 }),
};

/** The models in the form of the API that is asked: Anthropic's clients say their version. */
export function modelAnswer(names: readonly string[], asAnthropic: boolean): ScriptedAnswer {
  if (!asAnthropic) return json({ object: "list", data: names.map(openaiModel) });
  const ends = { first_id: names[0], last_id: names.at(-1) };
  return json({ data: names.map(anthropicModel), has_more: false, ...ends });
}

/** One model, likewise. */
export function oneModelAnswer(name: string, asAnthropic: boolean): ScriptedAnswer {
  return json(asAnthropic ? anthropicModel(name) : openaiModel(name));
}

function openaiModel(id: string): object {
  return { id, object: "model", created: CREATED, owned_by: "us" };
}

function anthropicModel(id: string): object {
  const created = new Date(CREATED * 1000).toISOString();
  return { type: "model", id, display_name: id, created_at: created, lifecycle: "active" };
}
