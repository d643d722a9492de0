import { stat } from "node:fs/promises";
import type { GgufTensorInfo } from "node-llama-cpp";
import { Fault } from "../../core/fault.ts";
import type { ModelCard } from "../../core/model.ts";
import { modelCard, parameterSize, sha256 } from "../model-card.ts";
import type { Runtime } from "./runtime.ts";
import type { Weights } from "./weights.ts";

/** The card of the loaded model, from the metadata of its file. */
export async function cardOf(runtime: Runtime, weights: Weights): Promise<ModelCard> {
  const { model, contextSize, library } = runtime;
  const { size, mtimeMs } = await stat(weights.path);
  const { general } = model.fileInfo.metadata;
  const fileType = general.file_type === undefined ? undefined : library.GgufFileType[general.file_type];
  const card = modelCard(weights.model, {
    modifiedAt: Math.round(mtimeMs),
    size,
    digest: sha256(`${weights.model}${size}`),
    format: "gguf",
    family: general.architecture,
    parameterSize: parameterSize(countParameters(model.fileInfo.fullTensorInfo ?? [])),
    quantization: fileType?.replace(/^(MOSTLY|ALL)_/, "") ?? "",
    contextLength: contextSize,
    ownedBy: "embedded",
    resident: true,
  });
  if (card === undefined) throw new Fault("model_name_invalid", `${weights.model} is not a model name`);
  return card;
}

function countParameters(tensors: readonly GgufTensorInfo[]): number {
  return tensors.reduce((sum, { dimensions }) => {
    return sum + dimensions.reduce((product: number, length) => product * Number(length), 1);
  }, 0);
}
