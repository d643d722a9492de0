import type { GenerateRequest, LoadRequest } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import {
  definedFields,
  flagField,
  invalidRequest,
  mismatch,
  numberField,
  objectField,
  textField,
} from "../fields.ts";
import { checkInputs } from "./embed-request.ts";
import { MOST_CHOICES, type Translation, readChoices, readFormat } from "./chat-request.ts";
import { readKeepAliveExtension, readOptionsExtension, readSampling, unknownFields } from "./sampling.ts";

/** Fields with a neutral form. All others are kept in `extra`. */
const KNOWN = new Set(
  (
    "model prompt suffix stream stream_options n best_of echo max_tokens temperature top_p top_k min_p " +
    "typical_p seed stop presence_penalty frequency_penalty repetition_penalty repeat_penalty repeat_last_n " +
    "response_format logprobs keep_alive options"
  ).split(" "),
);

/**
 * Reads the body of POST /v1/completions. An empty prompt is a load, as with Ollama. Throws `invalid_request` for a
 * body that no backend accepts. Content that only cannot be translated becomes an obstacle.
 */
export function readCompletion(body: JsonObject): Translation<GenerateRequest | LoadRequest> {
  const obstacles: string[] = [];
  const choices = readTextChoices(body, obstacles);
  const [prompt = "", ...more] = readPrompts(body["prompt"] ?? "", obstacles);
  const morePrompts = more.length === 0 ? undefined : more;
  checkAnswers(1 + more.length, choices ?? 1, obstacles);
  const { inner, runner } = readOptionsExtension(objectField(body, "options"));
  const fields = {
    sampling: { temperature: 1, topP: 1, ...inner, ...readSampling(body) },
    ...definedFields({
      morePrompts,
      choices,
      suffix: textField(body, "suffix") || undefined,
      format: readFormat(objectField(body, "response_format"), obstacles),
      logprobs: readTokenLogprobs(body["logprobs"] ?? undefined, obstacles),
      keepAlive: readKeepAliveExtension(body),
      runner,
      extra: unknownFields(body, KNOWN),
    }),
  };
  const [obstacle] = obstacles;
  if (prompt === "") {
    const keep = definedFields({ keepAlive: fields.keepAlive });
    return { request: { kind: "load", unload: false, ...keep }, obstacle };
  }
  return { request: { kind: "generate", prompt, raw: false, images: [], ...fields }, obstacle };
}

/** A neutral reply has new text only, and every answer: nothing picks the best one. */
function readTextChoices(body: JsonObject, obstacles: string[]): number | undefined {
  const choices = readChoices(body, obstacles);
  if ((numberField(body, "best_of") ?? 1) > (choices ?? 1)) obstacles.push("best_of>n");
  if (flagField(body, "echo") === true) obstacles.push("echo");
  return choices;
}

/**
 * Reads one text or a list of texts. Token ids are an obstacle. So is an empty text beside others, which alone would
 * be a load.
 */
function readPrompts(prompt: Json, obstacles: string[]): readonly string[] {
  if (typeof prompt === "string") return [prompt];
  const inputs = checkInputs(prompt, () => mismatch("prompt", prompt, "string"));
  const texts = inputs.filter((input) => typeof input === "string");
  if (texts.length < inputs.length) obstacles.push("a prompt of token ids");
  if (texts.length > 1 && texts.includes("")) obstacles.push("an empty prompt beside others");
  return texts;
}

/** Each answer to each prompt takes a run of the model. */
function checkAnswers(prompts: number, choices: number, obstacles: string[]): void {
  if (prompts === 1 || prompts * choices <= MOST_CHOICES) return;
  obstacles.push(`more than ${MOST_CHOICES} answers (${prompts} prompts, n=${choices})`);
}

const MOST_ALTERNATIVES = 20;

/** Reads the number of alternatives. llama.cpp also accepts true and false. */
function readTokenLogprobs(value: Json | undefined, obstacles: string[]): { top: number } | undefined {
  if (value === undefined || value === false) return undefined;
  if (value === true) return { top: 0 };
  if (typeof value !== "number" || !Number.isInteger(value))
    throw invalidRequest("logprobs must be a whole number");
  if (value < 0 || value > MOST_ALTERNATIVES) obstacles.push(`logprobs=${value}`);
  return { top: value };
}
