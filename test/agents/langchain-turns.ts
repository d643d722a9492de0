import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A program with LangChain and its package for OpenAI or Ollama: two turns, the first with a tool. */

interface Message {
  readonly content: unknown;
  readonly tool_calls?: readonly { readonly id?: string; readonly name: string; readonly args: object }[];
}

interface Chat {
  bindTools(tools: readonly object[]): { invoke(messages: readonly unknown[]): Promise<Message> };
}

type Open = new (options: object) => Chat;
type OpenMessage = new (fields: object) => Message;

const [folder = "", library = "", url = "", model = ""] = process.argv.slice(2);

async function load<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(folder, "node_modules/@langchain", path)).href)) as T;
}

async function open(): Promise<Chat> {
  if (library === "ollama") {
    const { ChatOllama } = await load<{ ChatOllama: Open }>("ollama/dist/index.js");
    return new ChatOllama({ baseUrl: url, model });
  }
  const { ChatOpenAI } = await load<{ ChatOpenAI: Open }>("openai/dist/index.js");
  return new ChatOpenAI({ model, apiKey: "none", maxRetries: 0, configuration: { baseURL: `${url}/v1` } });
}

const read = {
  type: "function",
  function: {
    name: "read",
    description: "Reads a file",
    parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  },
};

const { HumanMessage, ToolMessage } = await load<{ HumanMessage: OpenMessage; ToolMessage: OpenMessage }>(
  "core/dist/messages/index.js",
);
const chat = (await open()).bindTools([read]);
const messages: Message[] = [];
for (const question of ["Read the file note.txt and say what it says.", "And now?"]) {
  messages.push(new HumanMessage({ content: question }));
  for (let step = 0; step < 4; step += 1) {
    const answer = await chat.invoke(messages);
    messages.push(answer);
    const calls = answer.tool_calls ?? [];
    if (calls.length === 0) break;
    for (const { id = "" } of calls) {
      messages.push(new ToolMessage({ content: "the first line of the note", tool_call_id: id }));
    }
  }
  process.stdout.write(`${JSON.stringify(messages.at(-1)?.content)}\n`);
}
