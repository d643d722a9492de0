import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { ChatRequest } from "../../src/core/chat.ts";
import { Fault } from "../../src/core/fault.ts";
import type { JsonObject } from "../../src/core/json.ts";
import { openaiServerCodecs } from "../../src/protocols/openai/endpoints.ts";

const found = openaiServerCodecs.find(({ endpoint }) => endpoint === "openai-responses");
assert.ok(found);
const server = found;

function read(more: JsonObject): ChatRequest {
  const body = { model: "m", input: "hi", ...more };
  server.validate(body);
  return server.decode(body) as ChatRequest;
}

const FILE = { type: "input_file", file_data: "data:application/pdf;base64,AAAA" };

/** A conversation whose newest turn is no more than a question. */
function talk(...items: JsonObject[]): JsonObject {
  return {
    input: [...items, { role: "assistant", content: "I see." }, { role: "user", content: "And now?" }],
  };
}

describe("what no model can be given", () => {
  test("is replaced by a sentence in what is past, and refused in the newest turn", () => {
    const request = read(talk({ role: "user", content: [{ type: "input_text", text: "Look:" }, FILE] }));
    assert.match(JSON.stringify(request.messages[0]), /Look:.*input_file was here/);
    assert.deepEqual(request.unread, ["input.input_file"]);
    assert.throws(() => read({ input: [{ role: "user", content: [FILE] }] }), Fault);
    const image = { type: "input_image", file_id: "f" };
    assert.deepEqual(read(talk({ role: "user", content: [image] })).unread, ["input.input_image"]);
  });

  test("is replaced in a tool's result, also the newest", () => {
    const call = { type: "function_call", call_id: "a", name: "exec", arguments: "{}" };
    const output = { type: "function_call_output", call_id: "a", output: [FILE, { type: "hologram" }] };
    const request = read({ input: [{ role: "user", content: "hi" }, call, output] });
    assert.deepEqual(request.unread, ["input.input_file", "input.hologram"]);
    assert.equal(request.messages.at(-1)?.content.length, 2);
  });

  test("is left out and named: compactions, references to thoughts, other servers' work", () => {
    const request = read(
      talk(
        { type: "compaction", encrypted_content: "x" },
        { type: "item_reference", id: "rs_1" },
        { id: "rs_2" },
        { type: "mcp_list_tools", id: "m", server_label: "x", tools: [] },
        { role: "user", content: "hi" },
      ),
    );
    assert.equal(request.messages.length, 3);
    assert.deepEqual(request.unread, ["input.compaction", "input.item_reference", "input.mcp_list_tools"]);
  });

  test("a call that was cut stays in the history and ends no conversation", () => {
    const call = { type: "function_call", call_id: "a", name: "exec", arguments: '{"cmd":"l' };
    const { messages } = read({
      input: [{ role: "user", content: "hi" }, call, { role: "user", content: "on" }],
    });
    assert.deepEqual(messages[1]?.toolCalls, [
      { id: "a", name: "exec", arguments: '{"INVALID_JSON":"{\\"cmd\\":\\"l"}' },
    ]);
  });

  test("a message between agents is told", () => {
    const content = [
      { type: "input_text", text: "Done." },
      { type: "encrypted_content", encrypted_content: "x" },
    ];
    const request = read({
      input: [{ type: "agent_message", author: "/root/a", recipient: "/root", content }],
    });
    const text = request.messages[0]?.content.map((part) => (part.type === "text" ? part.text : "")).join("");
    assert.match(text ?? "", /^Message from \/root\/a to \/root:\nDone\..*encrypted_content/);
    assert.deepEqual(request.unread, ["input.encrypted_content"]);
  });

  test("a reference to what was said is a sentence, and named", () => {
    const request = read(talk({ type: "item_reference", id: "msg_1" }));
    assert.match(JSON.stringify(request.messages[0]), /"assistant".*item_reference was here.*I see\./);
    assert.deepEqual(request.unread, ["input.item_reference"]);
  });

  test("a choice of a tool that is not offered is refused", () => {
    const tools = [{ type: "web_search" }];
    assert.throws(() => read({ tools, tool_choice: { type: "web_search" } }), Fault);
    assert.throws(() => read({ tools, tool_choice: "required" }), Fault);
    assert.deepEqual(read({ tools, tool_choice: "auto" }).unread, ["tools.web_search"]);
  });
});
