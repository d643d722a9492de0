import type { Fleet } from "../rig/fleet/fleet.ts";
import { startStandIn, type StandIn } from "../rig/backends/stand-in.ts";
import { type ModelScript, scriptedAnswers } from "../rig/backends/scripted-model.ts";

/** The kinds of LLM servers that agents are run and replayed against. */
export const KINDS = ["openai", "ollama", "llamacpp", "vllm", "lmstudio", "exo"] as const;
export type Kind = (typeof KINDS)[number];

export const modelOf = (kind: Kind): string => `tiny-${kind}`;

/** Exo tells which of its models have an instance. */
function documentsOf(kind: Kind): Record<string, unknown> {
  const instance = { shardAssignments: { modelId: modelOf(kind) } };
  return kind === "exo" ? { "/state": { instances: { one: instance } } } : {};
}

/** Starts a worker with a backend of this kind, whose model does what the script says when it is asked. */
export async function addBackend(fleet: Fleet, kind: Kind, script: () => ModelScript): Promise<StandIn> {
  const standIn = await startStandIn({
    speaks: kind === "ollama" ? "ollama" : "openai",
    models: [modelOf(kind)],
    answers: scriptedAnswers(script),
    documents: documentsOf(kind),
  });
  await fleet.addBareWorker({ SGNET_BACKENDS: `${kind}+${standIn.url}`, SGNET_SLOTS: "2" });
  return standIn;
}
