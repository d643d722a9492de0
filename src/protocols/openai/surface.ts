import type { NeutralRequest } from "../../core/chat.ts";
import { Fault } from "../../core/fault.ts";
import type { JsonObject } from "../../core/json.ts";
import type { AbilityEndpoint } from "../../core/ability.ts";
import type { ReplyWriter, ServerCodec } from "../codec.ts";
import { flagField, textField } from "../fields.ts";

/**
 * The other endpoints of OpenAI-compatible servers, as data. They are only relayed: no other dialect has them, so
 * nothing is translated.
 */
export interface SurfaceEndpoint {
  readonly endpoint: AbilityEndpoint;
  /** The first path is the default. Paths of one shape can replace each other. */
  readonly paths: readonly SurfacePath[];
  /** True for a request with a streamed answer. */
  readonly streams: (body: JsonObject) => boolean;
  /** Marks in events of an answer. Absent: the endpoint has no events. */
  readonly events?: EventMarks;
  /** True when the answer may be binary. */
  readonly binary?: boolean;
  /** True when the answer may be plain text of any kind. */
  readonly text?: boolean;
  /** True when the body is a form. A field of the form then requests a stream. */
  readonly form?: boolean;
  /** True where OpenAI has a default model, so that its SDKs may send none. */
  readonly needsNoModel?: boolean;
  /** The smallest request, for the worker's own requests. Absent where even that is expensive. */
  readonly smallest?: JsonObject;
}

interface SurfacePath {
  readonly path: string;
  /** Paths of one shape have the same requests and answers. */
  readonly shape: string;
}

export interface EventMarks {
  /** Matches an event of an answer with an end mark. */
  readonly going: RegExp;
  /** Matches the end mark. */
  readonly end: RegExp;
}

const never = (): boolean => false;
const wanted = (body: JsonObject): boolean => flagField(body, "stream") ?? false;

function paths(shape: string, ...list: readonly string[]): readonly SurfacePath[] {
  return list.map((path) => ({ path, shape }));
}

/**
 * Transcripts are JSON, subtitles or plain text. OpenAI marks the last event of a stream by its type, vLLM by [DONE].
 */
const AUDIO_TO_TEXT = {
  streams: never,
  form: true,
  text: true,
  events: {
    going: /"transcript\.text\.(?:delta|segment)"|"(?:transcription|translation)\.chunk"/,
    end: /"transcript\.text\.done"/,
  },
} as const satisfies Partial<SurfaceEndpoint>;

/** All surface endpoints. */
export const SURFACE: readonly SurfaceEndpoint[] = [
  {
    endpoint: "openai-rerank",
    paths: [
      // Jina's shape, which vLLM and llama.cpp offer, and Cohere's version 2.
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
  // llama.cpp reads `content`, vLLM `prompt`. Each ignores the other.
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
    // Audio is played while it arrives, with or without events.
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
  { endpoint: "openai-transcriptions", paths: paths("audio", "/v1/audio/transcriptions"), ...AUDIO_TO_TEXT },
  { endpoint: "openai-translations", paths: paths("audio", "/v1/audio/translations"), ...AUDIO_TO_TEXT },
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

/** The row of a surface endpoint; undefined for another one. */
export function surfaceOf(endpoint: string): SurfaceEndpoint | undefined {
  return BY_NAME.get(endpoint);
}

/** The requested path for the task. Undefined for the default path of an endpoint. */
export function requestedPath(endpoint: string, asked: string): string | undefined {
  const [first, ...others] = surfaceOf(endpoint)?.paths ?? [];
  if (first === undefined || asked === first.path) return undefined;
  // A trailing slash makes no difference.
  return others.find(({ path }) => path === asked || `${path}/` === asked)?.path;
}

/**
 * Chooses the path at a backend: the client's own, else one of the same shape, else any. Undefined for none.
 * @param asked the client's path; absent: the first one
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

function serve({ endpoint, streams }: SurfaceEndpoint): ServerCodec {
  return {
    endpoint,
    dialect: "openai",
    validate: (body) => ({ model: textField(body, "model") ?? "", stream: streams(body) }),
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

/** The server codecs of the surface endpoints. */
export const surfaceServerCodecs: readonly ServerCodec[] = SURFACE.map(serve);
