import { createInterface } from "node:readline";

/** A server of the Model Context Protocol on standard input and output, with one tool: it reads a note. */

interface Call {
  readonly id?: number;
  readonly method: string;
  readonly params?: { readonly protocolVersion?: string };
}

const TOOL = {
  name: "read_note",
  description: "Reads the user's note",
  inputSchema: { type: "object", properties: { title: { type: "string" } }, required: ["title"] },
};

function resultOf({ method, params }: Call): object | undefined {
  switch (method) {
    case "initialize":
      return {
        protocolVersion: params?.protocolVersion ?? "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: "notes", version: "1.0.0" },
        instructions: "Notes of the user.",
      };
    case "tools/list":
      return { tools: [TOOL] };
    case "tools/call":
      return { content: [{ type: "text", text: "the note says: buy milk" }] };
    case "ping":
      return {};
    default:
      return undefined;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line) as Call;
  if (call.id === undefined) continue;
  const result = resultOf(call);
  const error = { code: -32_601, message: "no such method" };
  const told = result === undefined ? { error } : { result };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: call.id, ...told })}\n`);
}
