import { join } from "node:path";
import { type AgentClient, ANSWER, type Place } from "./client.ts";

/** Libraries that agents are built with, each in a small program of two turns with a tool. */
export const LIBRARY_CLIENTS: readonly AgentClient[] = [
  program("ai-sdk", { package: "@ai-sdk/openai@4.0.118", file: "ai-sdk-turns.ts", args: inV1 }),
  program("ai-sdk (store: false)", {
    package: "@ai-sdk/openai@4.0.118",
    file: "ai-sdk-turns.ts",
    args: (place) => [...inV1(place), "no-store"],
  }),
  program("openai-agents", {
    package: "@openai/agents@0.20.0",
    file: "openai-agents-turns.ts",
    args: inV1,
  }),
  program("langchain (openai)", {
    package: "@langchain/openai@1.6.0",
    file: "langchain-turns.ts",
    path: "/v1/chat/completions",
    args: ({ package: folder, url, model }) => [folder, "openai", url, model],
  }),
  program("langchain (ollama)", {
    package: "@langchain/ollama@1.3.0",
    file: "langchain-turns.ts",
    path: "/api/chat",
    args: ({ package: folder, url, model }) => [folder, "ollama", url, model],
  }),
];

function inV1({ package: folder, url, model }: Place): readonly string[] {
  return [folder, `${url}/v1`, model];
}

interface Program {
  readonly package: string;
  /** Beside this file. */
  readonly file: string;
  readonly path?: string;
  readonly args: (place: Place) => readonly string[];
}

function program(name: string, { file, args, path = "/v1/responses", ...rest }: Program): AgentClient {
  return {
    name,
    ...rest,
    path,
    script: () => ({ steps: [{ tool: "read", arguments: { path: "note.txt" } }], answer: ANSWER }),
    run: (place) => ({ command: join(import.meta.dirname, file), args: args(place) }),
  };
}
