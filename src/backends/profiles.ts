import type { ClientCodec } from "../protocols/codec.ts";
import { ollamaClientCodec } from "../protocols/ollama/client-codec.ts";
import { openaiClientCodec } from "../protocols/openai/client-codec.ts";
import { OPENAI_PROFILES } from "../protocols/openai/profiles.ts";
import type { SurfaceCheck } from "./abilities.ts";
import type { BackendKind, BackendState } from "./backend.ts";
import type { HttpOrigin } from "./http.ts";
import { inspectOllama } from "./inspect-ollama.ts";
import {
  inspectExo,
  inspectLlamacpp,
  inspectLmstudio,
  inspectOpenai,
  inspectVllm,
} from "./inspect-openai.ts";

/** The kinds of LLM servers. */
export type HttpKind = Exclude<BackendKind, "embedded" | "unknown">;

/** Properties of one kind of LLM server. */
export interface Profile {
  /** Default TCP port; undefined when the kind has none. */
  readonly port: number | undefined;
  /** Tasks that it runs at once when it does not report a number. */
  readonly slots: number;
  readonly codec: ClientCodec;
  /** True when it loads models on demand and unloads others for them. */
  readonly loadsOnDemand: boolean;
  /** Method that finds its endpoints beyond chat and embeddings. */
  readonly surface: SurfaceCheck;
  /** Inspects a server: see {@link Backend.inspect}. `slots` is set only when the server reports it. */
  inspect(http: HttpOrigin, signal: AbortSignal): Promise<BackendState>;
}

export const PROFILES: Readonly<Record<HttpKind, Profile>> = {
  ollama: {
    port: 11_434,
    slots: 4,
    codec: ollamaClientCodec,
    loadsOnDemand: true,
    surface: "audio",
    inspect: inspectOllama,
  },
  llamacpp: {
    port: 8080,
    slots: 1,
    codec: openaiClientCodec(OPENAI_PROFILES.llamacpp),
    // True for a router of several models. A single model is always loaded.
    loadsOnDemand: true,
    surface: "router",
    inspect: inspectLlamacpp,
  },
  vllm: {
    port: 8000,
    slots: 64,
    codec: openaiClientCodec(OPENAI_PROFILES.vllm),
    loadsOnDemand: false,
    surface: "document",
    inspect: inspectVllm,
  },
  lmstudio: {
    port: 1234,
    slots: 4,
    codec: openaiClientCodec(OPENAI_PROFILES.lmstudio),
    loadsOnDemand: true,
    // It answers unknown paths with 200.
    surface: "none",
    inspect: inspectLmstudio,
  },
  exo: {
    port: 52_415,
    slots: 1,
    codec: openaiClientCodec(OPENAI_PROFILES.exo),
    loadsOnDemand: false,
    surface: "document",
    inspect: inspectExo,
  },
  openai: {
    port: undefined,
    slots: 8,
    codec: openaiClientCodec(OPENAI_PROFILES.openai),
    loadsOnDemand: false,
    surface: "document",
    inspect: inspectOpenai,
  },
};

export const HTTP_KINDS: readonly HttpKind[] = Object.keys(PROFILES) as HttpKind[];

export function isHttpKind(text: string): text is HttpKind {
  return Object.hasOwn(PROFILES, text);
}
