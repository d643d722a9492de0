import assert from "node:assert/strict";
import test, { describe } from "node:test";
import * as fc from "fast-check";
import type { ChatRequest, Part } from "../../src/core/chat.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";
import { eventsIn } from "./shape.ts";

const found = openaiServerCodecs.find(({ endpoint }) => endpoint === "openai-responses");
assert.ok(found);
const server = found;

/** The tools of an agent of 2026, each of its kinds. */
const JS = { type: "function", name: "js", description: "Runs it", parameters: { type: "object" } };
const NAMESPACE = { type: "namespace", name: "mcp__t", description: "A server.", tools: [JS] };
const GRAMMAR = { type: "grammar", syntax: "lark", definition: 'start: "x"+' };
const PATCH = { type: "custom", name: "apply_patch", description: "Edits", format: GRAMMAR };
const SEARCH = {
  type: "tool_search",
  execution: "client",
  description: "Finds",
  parameters: { type: "object" },
};
const TOOLS: JsonObject[] = [
  { type: "function", name: "exec", parameters: { type: "object" }, strict: false },
  NAMESPACE,
  PATCH,
  { type: "local_shell" },
  { type: "shell" },
  SEARCH,
  { type: "web_search" },
  { type: "mcp", server_label: "x", server_url: "https://example.org" },
];

function bodyOf(more: JsonObject): JsonObject {
  return { model: "m", input: "hi", ...more };
}

function read(more: JsonObject): ChatRequest {
  const body = bodyOf(more);
  server.validate(body);
  return server.decode(body) as ChatRequest;
}

function choose(choice: Json): ChatRequest {
  return read({ tools: TOOLS, tool_choice: choice });
}

function namesOf({ tools = [] }: ChatRequest): string[] {
  return tools.map(({ name }) => name);
}

interface Told {
  readonly whole: JsonObject[];
  readonly streamed: JsonObject[];
  readonly events: JsonObject[];
}

/** A reply to this body with one call of a model, in one piece and as a stream. */
function reply(more: JsonObject, call: { readonly name: string; readonly arguments: string }): Told {
  const middle = Math.floor(call.arguments.length / 2);
  const parts: Part[] = [
    {
      type: "tool-delta",
      index: 0,
      id: "call_1",
      name: call.name,
      arguments: call.arguments.slice(0, middle),
    },
    { type: "tool-delta", index: 0, arguments: call.arguments.slice(middle) },
    { type: "end", reason: "tool-calls" },
  ];
  const write = (stream: boolean): string => {
    const context = { model: "m", stream, id: "r", now: () => 2000, startedAt: 1000, body: bodyOf(more) };
    const writer = server.reply(context);
    return parts.map((part) => writer.write(part)).join("");
  };
  const events = eventsIn(write(true)).map(({ data }) => data);
  const done = events.filter(({ type }) => type === "response.output_item.done");
  const last = events.at(-1)?.["response"] as { output: JsonObject[] };
  const whole = (JSON.parse(write(false)) as { output: JsonObject[] }).output;
  assert.deepEqual(last.output, whole);
  return { whole, streamed: done.map(({ item }) => item as JsonObject), events };
}

function only(list: readonly JsonObject[]): JsonObject {
  assert.equal(list.length, 1);
  const { id: _id, status: _status, ...item } = list[0] ?? {};
  return item;
}

describe("the tools of an agent", () => {
  test("are offered under flat names, but for those that a server would run, which are named", () => {
    const request = read({ tools: TOOLS });
    assert.deepEqual(namesOf(request), [
      "exec",
      "mcp__t__js",
      "apply_patch",
      "local_shell",
      "shell",
      "tool_search",
    ]);
    assert.deepEqual(request.unread, ["tools.web_search", "tools.mcp"]);
    const [exec, js, patch] = request.tools ?? [];
    assert.equal(exec?.strict, false);
    assert.equal(js?.description, "Runs it\n\nmcp__t: A server.");
    assert.match(patch?.description ?? "", /^Edits\n\n.*lark.*\n\nstart: "x"\+$/);
    assert.deepEqual(patch?.parameters?.["required"], ["input"]);
  });

  test("come with the conversation too, each once", () => {
    const later = { type: "function", name: "late", parameters: { type: "object" }, defer_loading: true };
    const request = read({
      tools: [SEARCH, { ...later, name: "unfound" }],
      input: [
        { role: "user", content: "hi" },
        { type: "additional_tools", role: "developer", tools: [JS, { type: "image_generation" }] },
        { type: "tool_search_call", call_id: "s", execution: "client", arguments: { query: "x" } },
        {
          type: "tool_search_output",
          call_id: "s",
          execution: "client",
          tools: [{ ...NAMESPACE, tools: [later] }],
        },
        { type: "additional_tools", role: "developer", tools: [JS] },
      ],
    });
    assert.deepEqual(namesOf(request), ["tool_search", "js", "mcp__t__late"]);
    assert.deepEqual(request.messages.slice(1), [
      {
        role: "assistant",
        content: [],
        toolCalls: [{ id: "s", name: "tool_search", arguments: '{"query":"x"}' }],
      },
      {
        role: "tool",
        content: [{ type: "text", text: "Tools that can be called now: mcp__t__late" }],
        toolCallId: "s",
        toolName: "tool_search",
      },
    ]);
    assert.deepEqual(request.unread, ["tools.image_generation"]);
  });

  test("that only a server's own search would find are all offered", () => {
    const tools = [{ type: "tool_search" }, { ...JS, defer_loading: true }];
    assert.deepEqual(namesOf(read({ tools })), ["js"]);
  });

  test("a choice falls on a namespace's, a custom tool, or several", () => {
    const inner = { type: "function", namespace: "mcp__t", name: "js" };
    assert.deepEqual(choose(inner).toolChoice, { name: "mcp__t__js" });
    assert.deepEqual(choose({ type: "custom", name: "apply_patch" }).toolChoice, { name: "apply_patch" });
    assert.deepEqual(choose({ type: "local_shell" }).toolChoice, { name: "local_shell" });
    assert.deepEqual(
      namesOf(
        choose({ type: "allowed_tools", mode: "auto", tools: [{ type: "namespace", name: "mcp__t" }] }),
      ),
      ["mcp__t__js"],
    );
    const some = choose({ type: "allowed_tools", mode: "auto", tools: [inner, { type: "shell" }] });
    assert.deepEqual(namesOf(some), ["mcp__t__js", "shell"]);
  });
});

describe("a model's call reaches the client as the client knows it, and comes back from there", () => {
  const command = ["ls", "-l"];
  const action = { type: "exec", command, env: {}, timeout_ms: 5, working_directory: null, user: null };
  const patch = "*** Begin Patch\n*** End Patch\n";
  const cases: readonly [string, { name: string; arguments: string }, JsonObject, unknown][] = [
    [
      "a namespace's function",
      { name: "mcp__t__js", arguments: '{"a":1}' },
      { type: "function_call", name: "js", namespace: "mcp__t", arguments: '{"a":1}' },
      { a: 1 },
    ],
    [
      "a custom tool",
      { name: "apply_patch", arguments: JSON.stringify({ input: patch }) },
      { type: "custom_tool_call", name: "apply_patch", input: patch },
      { input: patch },
    ],
    [
      "a local shell",
      { name: "local_shell", arguments: JSON.stringify({ command, timeout_ms: 5 }) },
      { type: "local_shell_call", action },
      { command, timeout_ms: 5 },
    ],
    [
      "a shell",
      { name: "shell", arguments: '{"commands":["ls"]}' },
      {
        type: "shell_call",
        action: { commands: ["ls"], timeout_ms: null, max_output_length: null },
        environment: { type: "local" },
      },
      { commands: ["ls"] },
    ],
    [
      "a search for tools",
      { name: "tool_search", arguments: '{"query":"x"}' },
      { type: "tool_search_call", execution: "client", arguments: { query: "x" } },
      { query: "x" },
    ],
  ];
  for (const [about, call, wanted, again] of cases) {
    test(about, () => {
      const { whole, streamed } = reply({ tools: TOOLS }, call);
      assert.deepEqual(only(whole), { ...wanted, call_id: "call_1" });
      assert.deepEqual(streamed, whole);
      const [item = {}] = whole;
      const output: Record<string, JsonObject> = {
        shell_call: {
          type: "shell_call_output",
          output: [{ stdout: "done", stderr: "", outcome: { type: "exit", exit_code: 1 } }],
        },
        tool_search_call: { type: "tool_search_output", tools: [] },
      };
      const { type } = item as { type: string };
      const answer = { call_id: "call_1", ...(output[type] ?? { type: `${type}_output`, output: "done" }) };
      const request = read({ tools: TOOLS, input: [{ role: "user", content: "hi" }, item, answer] });
      const [, asked, answered] = request.messages;
      assert.equal(asked?.toolCalls?.[0]?.name, call.name);
      assert.deepEqual(JSON.parse(asked?.toolCalls?.[0]?.arguments ?? ""), again);
      assert.equal(answered?.toolCallId, "call_1");
      assert.equal(answered?.toolName, call.name);
      assert.equal(request.unread?.some((name) => name.startsWith("input.")) ?? false, false);
    });
  }

  test("free text has its own events", () => {
    const { events } = reply({ tools: TOOLS }, { name: "apply_patch", arguments: '{"input":"x\\ny"}' });
    const told = events.map(({ type, delta, input }) => [type, delta ?? input]).slice(2, -1);
    assert.deepEqual(told, [
      ["response.output_item.added", undefined],
      ["response.custom_tool_call_input.delta", "x\ny"],
      ["response.custom_tool_call_input.done", "x\ny"],
      ["response.output_item.done", undefined],
    ]);
  });

  const written: readonly [string, string, string][] = [
    ["under another name", '{"patch":"x"}', "x"],
    ["bare", "x", "x"],
    ["cut", '{"input":"x\\n\\u00', "x\n"],
    ["cut at an escape", '{"input":"x\\', "x"],
    ["not at all", "", ""],
  ];
  for (const [about, text, input] of written) {
    test(`free text that a model wrote ${about}`, () => {
      const { whole } = reply({ tools: TOOLS }, { name: "apply_patch", arguments: text });
      assert.equal(whole[0]?.["input"], input);
    });
  }

  test("names never collide, whatever clients call their tools", () => {
    const name = fc.constantFrom("a", "a__b", "b", "a_b", "é", "x".repeat(70), "a__b_2");
    const plain = fc.record({ type: fc.constantFrom("function", "custom"), name });
    const space = fc.record({
      type: fc.constant("namespace"),
      name,
      tools: fc.array(plain, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(plain, space), { maxLength: 12 }), (tools) => {
        const offered = namesOf(read({ tools }));
        assert.equal(new Set(offered).size, offered.length);
        const kept = new Set<string>();
        for (const flat of offered) {
          const { whole } = reply({ tools }, { name: flat, arguments: "{}" });
          const { type, name: own, namespace = null } = whole[0] ?? {};
          kept.add(JSON.stringify([type, namespace, own]));
          const again = read({ tools, input: [...whole, { role: "user", content: "on" }] });
          assert.equal(again.messages[0]?.toolCalls?.[0]?.name, flat);
        }
        // Each tool of the client is reached by one name, and comes back to it.
        assert.equal(kept.size, offered.length);
      }),
    );
  });
});
