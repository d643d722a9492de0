import type { NeutralRequest } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { AbilityEndpoint } from "../../core/ability.ts";
import type { ReplyWriter, ServerEndpoint } from "../protocol.ts";
import { flagField, textField } from "./fields.ts";

/**
 * The rest of the surface of OpenAI-compatible servers, as data. Requests and answers of these endpoints are relayed: no
 * backend of another dialect has them, so that nothing is translated.
 */
export interface SurfaceEndpoint {
  readonly endpoint: AbilityEndpoint;
  /** The first one is asked when nothing else is said. Those of one shape can stand for each other. */
  readonly paths: readonly SurfacePath[];
  /** True for a request whose answer the client takes in pieces. */
  readonly streams: (body: JsonObject) => boolean;
  /** How events say that the answer goes on, and that it is complete. Absent: the endpoint has no events. */
  readonly events?: EventMarks;
  /** True when the answer may be bytes of another kind than text. */
  readonly binary?: boolean;
  /** True when the answer may be plain text of any kind. */
  readonly text?: boolean;
  /** True when the body is a form: that tells itself whether its answer is taken in pieces. */
  readonly form?: boolean;
  /** True where OpenAI takes a model of its own when the request names none: its SDKs then send none. */
  readonly needsNoModel?: boolean;
  /** The smallest request, for the worker's own; absent where even that costs much. */
  readonly smallest?: JsonObject;
}

export interface SurfacePath {
  readonly path: string;
  /** Paths of one shape take the same requests and give the same answers. */
  readonly shape: string;
}

export interface EventMarks {
  /** In an event of an answer that has an end of its own. */
  readonly going: RegExp;
  /** In the last one. */
  readonly end: RegExp;
}

const never = (): boolean => false;
const wanted = (body: JsonObject): boolean => flagField(body, "stream") ?? false;

function paths(shape: string, ...list: readonly string[]): readonly SurfacePath[] {
  return list.map((path) => ({ path, shape }));
}

/**
 * What sound becomes is text, in JSON or as it is: subtitles, plain text. OpenAI tells the last event of a stream by its
 * type, vLLM by [DONE].
 */
const HEARS = {
  streams: never,
  form: true,
  text: true,
  events: {
    going: /"transcript\.text\.(?:delta|segment)"|"(?:transcription|translation)\.chunk"/,
    end: /"transcript\.text\.done"/,
  },
} as const satisfies Partial<SurfaceEndpoint>;

/** All of them. */
export const SURFACE: readonly SurfaceEndpoint[] = [
  {
    endpoint: "openai-rerank",
    paths: [
      // Jina's shape, which vLLM and llama.cpp have, and Cohere's second one.
      ...paths("jina", "/v1/rerank", "/rerank", "/v1/reranking", "/reranking"),
      ...paths("cohere", "/v2/rerank"),
    ],
    streams: never,
    smallest: { query: "Hi", documents: ["Hi"] },
  },
  {
    endpoint: "openai-score",
    paths: paths("vllm", "/v1/score", "/score"),
    streams: never,
    smallest: { text_1: "Hi", text_2: "Hi" },
  },
  // llama.cpp reads `content`, vLLM `prompt`: each passes over the other.
  {
    endpoint: "openai-tokenize",
    paths: paths("tokenize", "/tokenize"),
    streams: never,
    smallest: { content: "Hi", prompt: "Hi" },
  },
  {
    endpoint: "openai-detokenize",
    paths: paths("detokenize", "/detokenize"),
    streams: never,
    smallest: { tokens: [0] },
  },
  {
    endpoint: "openai-moderations",
    paths: paths("moderations", "/v1/moderations"),
    needsNoModel: true,
    streams: never,
    smallest: { input: "Hi" },
  },
  {
    endpoint: "openai-images",
    paths: paths("images", "/v1/images/generations"),
    needsNoModel: true,
    streams: wanted,
    events: { going: /"image_generation\.partial_image"/, end: /"image_generation\.completed"/ },
  },
  {
    endpoint: "openai-speech",
    paths: paths("speech", "/v1/audio/speech"),
    // Audio is played while it comes, with or without events.
    streams: () => true,
    events: { going: /"speech\.audio\.delta"/, end: /"speech\.audio\.done"/ },
    binary: true,
  },
  {
    endpoint: "openai-infill",
    paths: paths("infill", "/infill"),
    streams: wanted,
    events: { going: /"content"\s*:/, end: /"stop"\s*:\s*true/ },
    smallest: { input_prefix: "a", input_suffix: "b", n_predict: 1 },
  },
  { endpoint: "openai-transcriptions", paths: paths("audio", "/v1/audio/transcriptions"), ...HEARS },
  { endpoint: "openai-translations", paths: paths("audio", "/v1/audio/translations"), ...HEARS },
  {
    endpoint: "openai-image-edits",
    paths: paths("edits", "/v1/images/edits"),
    needsNoModel: true,
    streams: never,
    form: true,
    events: { going: /"image_edit\.partial_image"/, end: /"image_edit\.completed"/ },
    binary: true,
  },
  {
    endpoint: "openai-image-variations",
    paths: paths("variations", "/v1/images/variations"),
    needsNoModel: true,
    streams: never,
    form: true,
    binary: true,
  },
];

const BY_NAME: ReadonlyMap<string, SurfaceEndpoint> = new Map(SURFACE.map((it) => [it.endpoint, it]));

/** The row of an endpoint of the surface; undefined for any other. */
export function surfaceOf(endpoint: string): SurfaceEndpoint | undefined {
  return BY_NAME.get(endpoint);
}

/** The path as a task tells it: undefined for the first one of its endpoint, and where it has no choice. */
export function toldPath(endpoint: string, asked: string): string | undefined {
  const [first, ...others] = surfaceOf(endpoint)?.paths ?? [];
  if (first === undefined || asked === first.path) return undefined;
  // With a slash too many it is the same path.
  return others.find(({ path }) => path === asked || `${path}/` === asked)?.path;
}

/**
 * The path to ask a backend at: the client's own, else one of the same shape, else any that it has. Undefined when it has
 * none.
 * @param asked the client's; absent: the first one
 */
export function relayPath(
  { paths: all }: SurfaceEndpoint,
  has: ReadonlySet<string>,
  asked: string | undefined,
): string | undefined {
  const own = all.find(({ path }) => path === asked) ?? all[0];
  const there = all.filter(({ path }) => has.has(path));
  const choice =
    there.find(({ path }) => path === own?.path) ??
    there.find(({ shape }) => shape === own?.shape) ??
    there[0];
  return choice?.path;
}

function serve({ endpoint, streams }: SurfaceEndpoint): ServerEndpoint {
  return {
    endpoint,
    dialect: "openai",
    open: (body) => ({ model: textField(body, "model") ?? "", stream: streams(body) }),
    decode: (): NeutralRequest => {
      throw relayedOnly();
    },
    reply: (): ReplyWriter => {
      throw relayedOnly();
    },
  };
}

function relayedOnly(): Fault {
  return new Fault("not_implemented", "the backend does not offer this endpoint");
}

/** What clients see of them. */
export const surfaceEndpoints: readonly ServerEndpoint[] = SURFACE.map(serve);
