import { isObject, type Json } from "../../src/core/json.ts";
import { recording } from "./recordings.ts";
import { RecordedServer } from "./recorded-server.ts";
import { retellLlamacpp } from "./retell.ts";

/** A stand-in for the llama-server that was recorded, or for the one that made vectors. */
export async function startLlamacpp(role: "chat" | "embedding"): Promise<RecordedServer> {
  const documents = {
    "/health": document("001"),
    "/props": document("003"),
    "/slots": document("004"),
    "/v1/models": role === "chat" ? withModels(document("006")) : document("086"),
  };
  return RecordedServer.start({
    documents,
    retell: (_path, asked, transcript) => retellLlamacpp(asked, transcript),
    error: (message, status) => ({ error: { code: status, message, type: "error" } }),
  });
}

/** Models of servers that were started later. */
const LATER = ["smollm2-force", "smollm2-qwen"];

function withModels(list: Json): Json {
  const data = isObject(list) && Array.isArray(list["data"]) ? list["data"] : [];
  const [first] = data;
  const later = LATER.map((id): Json => Object.assign({}, first, { id }));
  return { object: "list", data: [...data, ...later] };
}

function document(name: string): Json {
  return JSON.parse(recording("llamacpp", name).body.toString()) as Json;
}
