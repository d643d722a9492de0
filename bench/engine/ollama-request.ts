/** Reads requests of Ollama's API to the simulated engine; errors in Ollama's own words. */
import { isObject } from "../../src/core/json.ts";
import type { JsonObject } from "../../src/core/json.ts";

/** A request that is refused. */
export class BadRequest extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** A body as Ollama's chat, generate and embed have it, checked. */
export interface OllamaRequest {
  /** As it was written: answers repeat it so. */
  readonly model: string;
  /** Everything the model reads; empty asks for a load only. */
  readonly prompt: string;
  readonly stream: boolean;
  readonly tokens: number | undefined;
  readonly options: JsonObject;
  readonly keepAliveMs: number | undefined;
}

/** More are not generated, whatever is asked. */
const MOST_TOKENS = 100_000;

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Throws {@link BadRequest} on what is no JSON object. */
export function parseBody(text: string): JsonObject {
  if (text === "") throw new BadRequest(400, "missing request body");
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new BadRequest(400, "unexpected EOF");
  }
  if (!isObject(body)) {
    throw new BadRequest(400, "json: cannot unmarshal value into Go value of an object");
  }
  return body;
}

/** Throws {@link BadRequest} on a `keep_alive` that is none. */
export function readRequest(body: JsonObject): OllamaRequest {
  const options = isObject(body["options"]) ? body["options"] : {};
  return {
    model: typeof body["model"] === "string" ? body["model"] : "",
    prompt: promptOf(body),
    stream: body["stream"] !== false,
    tokens: tokensAsked(options["num_predict"]),
    options,
    keepAliveMs: keepAliveMs(body["keep_alive"]),
  };
}

function promptOf(body: JsonObject): string {
  if (Array.isArray(body["messages"])) return body["messages"].map(messageText).join("");
  const { prompt, input } = body;
  if (typeof prompt === "string") return prompt;
  return (Array.isArray(input) ? input : [input]).filter((text) => typeof text === "string").join("\n");
}

function messageText(message: unknown): string {
  if (!isObject(message)) return "";
  const { role, content } = message;
  return `${typeof role === "string" ? role : ""}\n${typeof content === "string" ? content : ""}\n`;
}

/** As in Ollama, 0 and less leave the number to the model. */
function tokensAsked(value: unknown): number | undefined {
  return typeof value === "number" && value >= 1 ? Math.min(MOST_TOKENS, Math.trunc(value)) : undefined;
}

/** In ms, below 0 for ever; a number is s, a text a Go duration. */
export function keepAliveMs(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return value < 0 ? -1 : value * 1000;
  if (typeof value !== "string") throw new BadRequest(400, `Unsupported type: '${typeof value}'`);
  const ms = goDurationMs(value);
  if (ms === undefined) throw new BadRequest(400, `time: invalid duration ${JSON.stringify(value)}`);
  return ms < 0 ? -1 : ms;
}

function goDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  const form = /^([+-]?)((?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text);
  if (form === null) return undefined;
  const parts = (form[2] ?? "").matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g);
  const ms = [...parts].reduce(
    (sum, [, number, unit]) => sum + Number(number) * (UNIT_MS[unit ?? ""] ?? 0),
    0,
  );
  return form[1] === "-" ? -ms : ms;
}
