import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { ChatRequest, Message } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Json, JsonObject } from "../../src/core/json.ts";
import { anthropicServerCodecs } from "../../src/protocols/anthropic/endpoints.ts";

/** Agents send more to POST /v1/messages than texts and functions. */

const [first] = anthropicServerCodecs;
assert.ok(first);
const server = first;

function read(more: JsonObject): ChatRequest {
  const body = { model: "m", max_tokens: 9, messages: [{ role: "user", content: "hi" }], ...more };
  server.validate(body);
  const request = server.decode(body);
  assert.ok(request.kind === "chat");
  return request;
}

function namesOf({ tools = [] }: ChatRequest): string[] {
  return tools.map(({ name }) => name);
}

function textOf(message: Message | undefined): string {
  return (message?.content ?? [])
    .map((part) => (part.type === "text" ? part.text : `<${part.type}>`))
    .join("");
}

const user = (content: Json): JsonObject => ({ role: "user", content });
const assistant = (content: Json): JsonObject => ({ role: "assistant", content });
const PDF = {
  type: "document",
  title: "a.pdf",
  source: { type: "base64", media_type: "application/pdf", data: "AA" },
};
const change = (type: string, tool: JsonObject): JsonObject => ({ type, tool });
const result = (content: Json): JsonObject => ({ type: "tool_result", tool_use_id: "t", content });
const line = (hash: string): string =>
  `x-anthropic-billing-header: cc_version=2.1.332.28c; cc_entrypoint=cli; cch=${hash};`;
const ORDINARY = { name: "f", input_schema: { type: "object" } };

describe("tools", () => {
  test("that a server would run are left out and named, and the others stay", () => {
    const request = read({
      tools: [
        { type: "web_search_20250305", name: "web_search", max_uses: 8 },
        { type: "code_execution_20250825", name: "code_execution" },
        { type: "mcp_toolset", mcp_server_name: "x" },
        ORDINARY,
      ],
      mcp_servers: [{ type: "url", url: "https://example.org", name: "x" }],
    });
    assert.deepEqual(namesOf(request), ["f"]);
    assert.deepEqual(request.unread, [
      "mcp_servers",
      "tools.web_search_20250305",
      "tools.code_execution_20250825",
      "tools.mcp_toolset",
    ]);
  });

  test("that clients run have the schemas that Anthropic's models know", () => {
    const request = read({
      tools: [
        { type: "bash_20250124", name: "bash" },
        { type: "text_editor_20250728", name: "str_replace_based_edit_tool", max_characters: 10 },
        { type: "text_editor_20250124", name: "str_replace_editor" },
        { type: "memory_20250818", name: "memory" },
        {
          type: "computer_20251124",
          name: "computer",
          display_width_px: 800,
          display_height_px: 600,
          enable_zoom: true,
        },
      ],
    });
    assert.equal(request.unread, undefined);
    const fields = (request.tools ?? []).map(({ name, parameters }) => [
      name,
      Object.keys(parameters?.["properties"] as JsonObject).join(" "),
      parameters?.["required"],
    ]);
    assert.deepEqual(fields, [
      ["bash", "command restart", []],
      [
        "str_replace_based_edit_tool",
        "command path view_range file_text old_str insert_line new_str insert_text",
        ["command", "path"],
      ],
      [
        "str_replace_editor",
        "command path view_range file_text old_str insert_line new_str",
        ["command", "path"],
      ],
      [
        "memory",
        "command path view_range file_text old_str insert_line new_str insert_text old_path new_path",
        ["command"],
      ],
      [
        "computer",
        "action coordinate start_coordinate text duration scroll_direction scroll_amount region",
        ["action"],
      ],
    ]);
    assert.match(request.tools?.at(-1)?.description ?? "", /800 x 600/);
    // Descriptions are a part of the prompt: another wording is another answer, and empties the backend's cache.
    const typed = '"text":{"type":"string","description":"What to type, or the keys to press."}';
    assert.ok(JSON.stringify(request.tools?.at(-1)).includes(typed));
    assert.match(JSON.stringify(request.tools?.at(-1)), /"zoom"/);
    assert.match(JSON.stringify(request.tools?.at(2)), /"undo_edit"/);
  });

  test("of a type that is not known, yet with a schema, are the client's", () => {
    assert.deepEqual(namesOf(read({ tools: [{ ...ORDINARY, type: "new_20270101" }] })), ["f"]);
  });

  test("that are deferred are offered when they have been found, or added, and not removed since", () => {
    const later = (name: string): JsonObject => ({ ...ORDINARY, name, defer_loading: true });
    const tools = [ORDINARY, later("a"), later("b"), later("c"), later("d")];
    const reference = { type: "tool_reference", tool_name: "a" };
    const messages = [
      user("hi"),
      assistant([{ type: "tool_use", id: "t", name: "f", input: {} }]),
      user([{ type: "tool_result", tool_use_id: "t", content: [reference] }]),
      {
        role: "system",
        content: [
          change("tool_addition", { type: "tool_reference", name: "b" }),
          change("tool_addition", { type: "tool_reference", name: "c" }),
          change("tool_removal", { type: "tool_reference", name: "c" }),
          change("tool_addition", { type: "tool_definition", definition: { ...ORDINARY, name: "inline" } }),
          change("tool_removal", { type: "tool_reference", name: "f" }),
        ],
      },
    ];
    assert.deepEqual(namesOf(read({ tools })), ["f"]);
    const request = read({ tools, messages });
    assert.deepEqual(namesOf(request), ["a", "b", "inline"]);
    assert.match(textOf(request.messages.at(-1)), /^Tool found, which can be called now: a/);
    assert.equal(request.messages.length, 3, "a message that only changes tools says nothing");
    const search = { type: "tool_search_tool_regex_20251119", name: "tool_search_tool_regex" };
    assert.deepEqual(namesOf(read({ tools: [search, ORDINARY, later("a")] })), ["f", "a"]);
  });
});

describe("a PDF", () => {
  const call = assistant([{ type: "tool_use", id: "t", name: "Read", input: {} }]);

  test("in a tool's result is a sentence, and named, whether the result is new or old", () => {
    const turns = [user("Read it"), call, user([result([PDF])])];
    for (const messages of [turns, [...turns, assistant("No."), user("Why?")]]) {
      const request = read({ messages });
      assert.equal(
        textOf(request.messages[2]),
        "a.pdf\n[Content of type document was here. It cannot be shown to this model.]",
      );
      assert.deepEqual(request.unread, ["messages.document"]);
    }
  });

  test("beside or right behind a tool's result is the tool's", () => {
    const beside = [user("Read it"), call, user([result("see below"), PDF])];
    const behind = [user("Read it"), call, user([result("see below")]), user([PDF])];
    for (const messages of [beside, behind])
      assert.deepEqual(read({ messages }).unread, ["messages.document"]);
  });

  test("of the user's newest turn is refused, and ends no conversation", () => {
    const asked = [user("hi"), assistant("Yes?"), user([{ type: "text", text: "Read it" }, PDF])];
    const environment = { role: "system", content: "Today is Monday." };
    assert.throws(() => read({ messages: asked }), Fault);
    assert.throws(() => read({ messages: [...asked, environment] }), Fault);
    assert.deepEqual(read({ messages: [...asked, user("Then not.")] }).unread, ["messages.document"]);
  });
});

describe("what other servers have left in a conversation", () => {
  test("is told as text, and named", () => {
    const found = {
      type: "web_search_result",
      title: "T",
      url: "https://example.org",
      encrypted_content: "SEALED",
    };
    const request = read({
      messages: [
        user("Search"),
        assistant([
          { type: "server_tool_use", id: "s", name: "web_search", input: { query: "q" } },
          { type: "web_search_tool_result", tool_use_id: "s", content: [found] },
          { type: "text", text: "Found." },
          { type: "holo", x: 1 },
        ]),
        user("And?"),
      ],
    });
    const text = textOf(request.messages[1]);
    assert.match(text, /^\[The tool web_search was called with \{"query":"q"\}\.\]/);
    assert.match(text, /T\nhttps:\/\/example.org\]\nFound\.\[Content of type holo/);
    assert.doesNotMatch(text, /SEALED/);
    assert.deepEqual(request.unread, [
      "messages.server_tool_use",
      "messages.web_search_tool_result",
      "messages.holo",
    ]);
  });

  test("is no loss where it is text: search results and compactions", () => {
    const search = {
      type: "search_result",
      source: "https://example.org",
      title: "T",
      content: [{ type: "text", text: "It says so." }],
    };
    const summary = { type: "compaction", content: "So far: nothing." };
    const request = read({ messages: [user([search]), assistant([summary]), user("And?")] });
    assert.equal(textOf(request.messages[0]), "T\nhttps://example.org\nIt says so.");
    assert.equal(textOf(request.messages[1]), "So far: nothing.");
    assert.equal(request.unread, undefined);
  });

  test("however deep it is, it does no harm", () => {
    let content: Json = "x";
    for (let depth = 0; depth < 2000; depth += 1) content = { content };
    const block = { type: "web_fetch_tool_result", tool_use_id: "s", content };
    assert.equal(
      textOf(read({ messages: [user("a"), assistant([block]), user("b")] }).messages[1]).length,
      26,
    );
  });
});

describe("bookkeeping of Claude Code", () => {
  const YOU = { type: "text", text: "You are an agent." };

  test("does not reach the prompt, in whatever form it comes", () => {
    const forms: Json[] = [
      [{ type: "text", text: line("1") }, YOU],
      [{ type: "text", text: `${line("2")}\n${YOU.text}` }],
      `${line("3")}\n${YOU.text}`,
    ];
    for (const system of forms) {
      const { messages, unread } = read({ system });
      assert.deepEqual(messages[0], { role: "system", content: [YOU] });
      assert.equal(unread, undefined);
    }
    assert.equal(read({ system: line("4") }).messages[0]?.role, "user");
    const late = read({
      messages: [user("hi"), { role: "system", content: [{ type: "text", text: line("5") }, YOU] }],
    });
    assert.deepEqual(late.messages[1], { role: "system", content: [YOU] });
  });

  test("stays where a user quotes it", () => {
    assert.equal(textOf(read({ messages: [user(line("1"))] }).messages[0]), line("1"));
  });
});
