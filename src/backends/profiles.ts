import type { ClientFace } from "../protocols/protocol.ts";
import { ollamaClient } from "../protocols/ollama/client.ts";
import { openaiClient } from "../protocols/openai/client.ts";
import { OPENAI_PROFILES } from "../protocols/openai/profiles.ts";
import type { SurfaceLook } from "./abilities.ts";
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

/** What sets one kind of LLM server apart. */
export interface Profile {
  /** TCP port it takes when nobody says otherwise; undefined when the kind has none. */
  readonly port: number | undefined;
  /** Tasks it runs at once when it does not tell. */
  readonly slots: number;
  readonly face: ClientFace;
  /** True when it loads models as they are asked for, and others go for that. */
  readonly loadsOnDemand: boolean;
  /** How the rest of OpenAI's surface is found. */
  readonly surface: SurfaceLook;
  /** See {@link Backend.inspect}; `slots` only when the server tells. */
  inspect(http: HttpOrigin, signal: AbortSignal): Promise<BackendState>;
}

export const PROFILES: Readonly<Record<HttpKind, Profile>> = {
  ollama: {
    port: 11_434,
    slots: 4,
    face: ollamaClient,
    loadsOnDemand: true,
    surface: "audio",
    inspect: inspectOllama,
  },
  llamacpp: {
    port: 8080,
    slots: 1,
    face: openaiClient(OPENAI_PROFILES.llamacpp),
    // As a router of several models; a single one is always there.
    loadsOnDemand: true,
    surface: "router",
    inspect: inspectLlamacpp,
  },
  vllm: {
    port: 8000,
    slots: 64,
    face: openaiClient(OPENAI_PROFILES.vllm),
    loadsOnDemand: false,
    surface: "document",
    inspect: inspectVllm,
  },
  lmstudio: {
    port: 1234,
    slots: 4,
    face: openaiClient(OPENAI_PROFILES.lmstudio),
    loadsOnDemand: true,
    // It answers unknown paths with 200.
    surface: "none",
    inspect: inspectLmstudio,
  },
  exo: {
    port: 52_415,
    slots: 1,
    face: openaiClient(OPENAI_PROFILES.exo),
    loadsOnDemand: false,
    surface: "document",
    inspect: inspectExo,
  },
  openai: {
    port: undefined,
    slots: 8,
    face: openaiClient(OPENAI_PROFILES.openai),
    loadsOnDemand: false,
    surface: "document",
    inspect: inspectOpenai,
  },
};

export const HTTP_KINDS: readonly HttpKind[] = Object.keys(PROFILES) as HttpKind[];

export function isHttpKind(text: string): text is HttpKind {
  return Object.hasOwn(PROFILES, text);
}
