import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A program with OpenAI's Agents SDK, which speaks responses: two turns of a session, the first with a tool. */

interface Result {
  readonly finalOutput: unknown;
  readonly history: readonly unknown[];
}

interface Sdk {
  readonly Agent: new (options: object) => object;
  readonly Runner: new (options: object) => {
    run(agent: object, input: string | readonly unknown[]): Promise<Result>;
  };
  readonly OpenAIProvider: new (options: object) => object;
  readonly tool: (options: object) => object;
}

const [folder = "", baseURL = "", model = ""] = process.argv.slice(2);
const entry = pathToFileURL(join(folder, "node_modules/@openai/agents/dist/index.mjs")).href;
const { Agent, Runner, OpenAIProvider, tool } = (await import(entry)) as Sdk;

const read = tool({
  name: "read",
  description: "Reads a file",
  strict: false,
  parameters: {
    type: "object",
    properties: { path: { type: "string" } },
    required: ["path"],
    additionalProperties: true,
  },
  execute: () => Promise.resolve("the first line of the note"),
});
const agent = new Agent({ name: "reader", instructions: "You read files.", model, tools: [read] });
const modelProvider = new OpenAIProvider({ baseURL, apiKey: "none" });
const runner = new Runner({ modelProvider, tracingDisabled: true });

const first = await runner.run(agent, "Read the file note.txt and say what it says.");
process.stdout.write(`${String(first.finalOutput)}\n`);
const second = await runner.run(agent, [...first.history, { role: "user", content: "And now?" }]);
process.stdout.write(`${String(second.finalOutput)}\n`);
