import { isObject, type Json } from "../../src/core/json.ts";
import { recording } from "./recordings.ts";
import { RecordedServer } from "./recorded-server.ts";
import { retellOllama } from "./retell.ts";

/** Models that recordings use and that were made after the recorded list; the last two were deleted again. */
const MADE_LATER = ["smollm2-tooljson:latest", "smollm2-embed:latest", "copytest:latest", "mario:latest"];

/** A stand-in for the Ollama that was recorded. */
export async function startOllama(): Promise<RecordedServer> {
  const server = await RecordedServer.start({
    documents: {
      "/": recording("ollama", "001").body.toString(),
      "/api/version": document("003"),
      "/api/tags": document("006"),
      "/api/ps": document("039"),
    },
    retell: retellOllama,
    error: (message) => ({ error: message }),
  });
  for (const name of MADE_LATER) addModel(server, name);
  return server;
}

function document(name: string): Json {
  return JSON.parse(recording("ollama", name).body.toString()) as Json;
}

/** Lists a model beside the recorded ones, like the first of them. */
function addModel(server: RecordedServer, name: string): void {
  const models = modelsOf(server);
  const [first] = models;
  if (isObject(first))
    server.documents["/api/tags"] = { models: [...models, { ...first, name, model: name }] };
}

function modelsOf(server: RecordedServer): readonly Json[] {
  const tags = server.documents["/api/tags"];
  return isObject(tags) && Array.isArray(tags["models"]) ? tags["models"] : [];
}
