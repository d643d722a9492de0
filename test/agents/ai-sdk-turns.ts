import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { generateText, jsonSchema, type LanguageModel, type ModelMessage, stepCountIs, tool } from "ai";

/** A program with Vercel's SDK and its provider for OpenAI: two turns, the first with a tool. */

interface Provider {
  createOpenAI(options: {
    readonly baseURL: string;
    readonly apiKey: string;
  }): (model: string) => LanguageModel;
}

const [folder = "", baseURL = "", model = "", store = ""] = process.argv.slice(2);
const entry = pathToFileURL(join(folder, "node_modules/@ai-sdk/openai/dist/index.js")).href;
const provider = (await import(entry)) as Provider;

const read = tool({
  description: "Reads a file",
  inputSchema: jsonSchema<{ path: string }>({
    type: "object",
    properties: { path: { type: "string" } },
    required: ["path"],
  }),
  execute: () => Promise.resolve("the first line of the note"),
});

const messages: ModelMessage[] = [{ role: "user", content: "Read the file note.txt and say what it says." }];
for (const question of ["And now?", undefined]) {
  const { text, steps } = await generateText({
    model: provider.createOpenAI({ baseURL, apiKey: "none" })(model),
    messages,
    tools: { read },
    stopWhen: stepCountIs(4),
    maxRetries: 0,
    providerOptions: { openai: { store: store !== "no-store" } },
  });
  process.stdout.write(`${text}\n`);
  messages.push(...steps.flatMap(({ response }) => response.messages));
  if (question !== undefined) messages.push({ role: "user", content: question });
}
