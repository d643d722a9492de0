import type { GenerateRequest, LoadRequest } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import { present, refusal } from "../fields.ts";
import { flagField, mismatch, numberField, objectField, textField } from "./fields.ts";
import { checkInputs } from "./inputs.ts";
import { MOST_CHOICES, type Read, readChoices, readFormat } from "./request.ts";
import { readKeepAlive, readOptions, readSampling, rest } from "./sampling.ts";

/** Fields that become something neutral; all others are kept in `extra`. */
const KNOWN = new Set(
  (
    "model prompt suffix stream stream_options n best_of echo max_tokens temperature top_p top_k min_p " +
    "typical_p seed stop presence_penalty frequency_penalty repetition_penalty repeat_penalty repeat_last_n " +
    "response_format logprobs keep_alive options"
  ).split(" "),
);

/**
 * Reads the body of POST /v1/completions: an empty prompt is a load, as Ollama takes it. Throws `invalid_request`
 * for what no backend could take; what only cannot be translated is told as an obstacle.
 */
export function readCompletion(body: JsonObject): Read<GenerateRequest | LoadRequest> {
  const obstacles: string[] = [];
  const choices = readTextChoices(body, obstacles);
  const [prompt = "", ...more] = readPrompts(body["prompt"] ?? "", obstacles);
  const morePrompts = more.length === 0 ? undefined : more;
  checkAnswers(1 + more.length, choices ?? 1, obstacles);
  const { inner, runner } = readOptions(objectField(body, "options"));
  const fields = {
    sampling: { temperature: 1, topP: 1, ...inner, ...readSampling(body) },
    ...present({
      morePrompts,
      choices,
      suffix: textField(body, "suffix") || undefined,
      format: readFormat(objectField(body, "response_format"), obstacles),
      logprobs: readTokenLogprobs(body["logprobs"] ?? undefined, obstacles),
      keepAlive: readKeepAlive(body),
      runner,
      extra: rest(body, KNOWN),
    }),
  };
  const [obstacle] = obstacles;
  if (prompt === "") {
    const keep = present({ keepAlive: fields.keepAlive });
    return { request: { kind: "load", unload: false, ...keep }, obstacle };
  }
  return { request: { kind: "generate", prompt, raw: false, images: [], ...fields }, obstacle };
}

/** A neutral reply is new text, and all that was made of it: nothing chooses the best. */
function readTextChoices(body: JsonObject, obstacles: string[]): number | undefined {
  const choices = readChoices(body, obstacles);
  if ((numberField(body, "best_of") ?? 1) > (choices ?? 1)) obstacles.push("best_of>n");
  if (flagField(body, "echo") === true) obstacles.push("echo");
  return choices;
}

/**
 * One text, or the texts of a list. Token ids are an obstacle; an empty text is one beside others: alone it is a load,
 * which has no answer.
 */
function readPrompts(prompt: Json, obstacles: string[]): readonly string[] {
  if (typeof prompt === "string") return [prompt];
  const inputs = checkInputs(prompt, () => mismatch("prompt", prompt, "string"));
  const texts = inputs.filter((input) => typeof input === "string");
  if (texts.length < inputs.length) obstacles.push("a prompt of token ids");
  if (texts.length > 1 && texts.includes("")) obstacles.push("an empty prompt beside others");
  return texts;
}

/** Each answer to each prompt is a run of the model of its own. */
function checkAnswers(prompts: number, choices: number, obstacles: string[]): void {
  if (prompts === 1 || prompts * choices <= MOST_CHOICES) return;
  obstacles.push(`more than ${MOST_CHOICES} answers (${prompts} prompts, n=${choices})`);
}

const MOST_ALTERNATIVES = 20;

/** The number of alternatives; llama.cpp also takes true and false. */
function readTokenLogprobs(value: Json | undefined, obstacles: string[]): { top: number } | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return { top: 0 };
  if (typeof value !== "number" || !Number.isInteger(value)) throw refusal("logprobs must be a whole number");
  if (value < 0 || value > MOST_ALTERNATIVES) obstacles.push(`logprobs=${value}`);
  return { top: value };
}
