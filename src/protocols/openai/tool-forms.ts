import type { Tool } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { argumentsOf, argumentsText } from "../arguments.ts";
import { present } from "../fields.ts";
import { listField, numberField, objectField, textField } from "./fields.ts";
import { readTool } from "./request.ts";

/**
 * The tools of OpenAI's responses that a client runs by itself. A model is offered each as a function with a schema;
 * its calls go back to the client as items of the tool's own type. Schemas and items: OpenAI's API reference.
 */
export interface ToolForm {
  /** The `type` of the tool. */
  readonly type: string;
  /** The `type` of its calls and of their results. */
  readonly call: string;
  readonly output: string;
  /** The beginning of the ids of its calls' items. */
  readonly prefix: string;
  /** The tool as a model is shown it, but for the name; undefined for one that a server would have to run. */
  offer(tool: JsonObject): Omit<Tool, "name"> | undefined;
  /** The arguments of a call in the client's history, as the text of a JSON object. Throws `invalid_request`. */
  written(item: JsonObject): string;
  /** The fields of the client's item for a call with these arguments; they need not be complete. */
  told(text: string): JsonObject;
}

const FUNCTION: ToolForm = {
  type: "function",
  call: "function_call",
  output: "function_call_output",
  prefix: "fc",
  offer: (tool) => {
    const { name: _name, ...rest } = readTool(tool);
    return rest;
  },
  /** A call that was cut stays in the history with what came of it: it must not end the conversation. */
  written: (item) => argumentsText(textField(item, "arguments") ?? ""),
  told: (text) => ({ arguments: text.trim() || "{}" }),
};

/** Free text as a call: a model of another vendor can give it only as a member of its arguments. */
const CUSTOM: ToolForm = {
  type: "custom",
  call: "custom_tool_call",
  output: "custom_tool_call_output",
  prefix: "ctc",
  offer(tool) {
    const format = objectField(tool, "format") ?? {};
    const grammar = textField(format, "definition");
    const syntax = textField(format, "syntax") ?? "";
    const rule = grammar === undefined ? [] : [`The input must follow this grammar (${syntax}):`, grammar];
    const description = [textField(tool, "description") ?? "", ...rule].filter((text) => text !== "");
    const input = { type: "string", description: "The whole input of the tool, as plain text." };
    return {
      ...present({ description: description.length === 0 ? undefined : description.join("\n\n") }),
      parameters: schema({ input }, ["input"]),
    };
  },
  written: (item) => JSON.stringify({ input: textField(item, "input") ?? "" }),
  told: (text) => ({ input: inputOf(text) }),
};

const TEXT = { type: "string" };
const TEXTS = { type: "array", items: TEXT };
const COUNT = { type: "integer" };

const LOCAL_SHELL: ToolForm = {
  type: "local_shell",
  call: "local_shell_call",
  output: "local_shell_call_output",
  prefix: "lsh",
  offer: () => ({
    description: "Runs a command on the user's machine and returns its output.",
    parameters: schema(
      {
        command: { ...TEXTS, description: "The program and its arguments." },
        working_directory: TEXT,
        timeout_ms: COUNT,
        env: { type: "object", additionalProperties: TEXT },
      },
      ["command"],
    ),
  }),
  written: (item) => JSON.stringify(saidBy(objectField(item, "action") ?? {})),
  told(text) {
    const { command, env, timeout_ms: timeout, working_directory: folder, user } = argumentsOf(text) ?? {};
    const given = { timeout_ms: timeout ?? null, working_directory: folder ?? null, user: user ?? null };
    return { action: { type: "exec", command: wordsOf(command), env: isObject(env) ? env : {}, ...given } };
  },
};

const SHELL: ToolForm = {
  type: "shell",
  call: "shell_call",
  output: "shell_call_output",
  prefix: "sh",
  /** Other environments than the client's own are containers of the vendor's. */
  offer(tool) {
    const place = textField(objectField(tool, "environment") ?? {}, "type") ?? "local";
    if (place !== "local") return undefined;
    const commands = { ...TEXTS, description: "Command lines, each run by a shell." };
    return {
      description: "Runs commands in a shell on the user's machine and returns their output.",
      parameters: schema({ commands, timeout_ms: COUNT, max_output_length: COUNT }, ["commands"]),
    };
  },
  written: (item) => JSON.stringify(saidBy(objectField(item, "action") ?? {})),
  told(text) {
    const { commands, timeout_ms: timeout, max_output_length: most } = argumentsOf(text) ?? {};
    const lines = typeof commands === "string" ? [commands] : textsIn(commands);
    const action = { commands: lines, timeout_ms: timeout ?? null, max_output_length: most ?? null };
    return { action, environment: { type: "local" } };
  },
};

const APPLY_PATCH: ToolForm = {
  type: "apply_patch",
  call: "apply_patch_call",
  output: "apply_patch_call_output",
  prefix: "apc",
  offer: () => ({
    description: "Creates, changes or deletes a file on the user's machine.",
    parameters: schema(
      {
        type: { type: "string", enum: ["create_file", "update_file", "delete_file"] },
        path: TEXT,
        diff: { type: "string", description: "The change in the V4A diff format; not for delete_file." },
      },
      ["type", "path"],
    ),
  }),
  written: (item) => JSON.stringify(objectField(item, "operation") ?? {}),
  told(text) {
    const { type, path, diff } = argumentsOf(text) ?? {};
    const deletes = type === "delete_file";
    return {
      operation: { type: type ?? "update_file", path: path ?? "", ...(deletes ? {} : { diff: diff ?? "" }) },
    };
  },
};

const TOOL_SEARCH: ToolForm = {
  type: "tool_search",
  call: "tool_search_call",
  output: "tool_search_output",
  prefix: "tsc",
  /** A search by the server is one among the tools of the request: all of them are offered instead. */
  offer(tool) {
    if (textField(tool, "execution") !== "client") return undefined;
    const parameters = objectField(tool, "parameters") ?? schema({ query: TEXT }, ["query"]);
    const description = textField(tool, "description") ?? "Finds more tools and makes them available.";
    return { description, parameters };
  },
  written({ arguments: value }) {
    if (typeof value === "string" && argumentsOf(value) !== undefined) return value;
    return JSON.stringify(isObject(value) ? value : {});
  },
  told: (text) => ({ execution: "client", arguments: argumentsOf(text) ?? {} }),
};

export const FUNCTION_FORM: ToolForm = FUNCTION;
export const SEARCH_FORM: ToolForm = TOOL_SEARCH;
export const TOOL_FORMS: readonly ToolForm[] = [
  FUNCTION,
  CUSTOM,
  LOCAL_SHELL,
  SHELL,
  APPLY_PATCH,
  TOOL_SEARCH,
];

/** True for tools that have names; of any other a client has one. */
export function isNamed({ type }: ToolForm): boolean {
  return type === "function" || type === "custom";
}

function schema(properties: JsonObject, required: Json[]): JsonObject {
  return { type: "object", properties, required, additionalProperties: false };
}

/** A command that came as one line is for a shell. */
function wordsOf(command: Json | undefined): string[] {
  return typeof command === "string" ? ["bash", "-lc", command] : textsIn(command);
}

function textsIn(value: Json | undefined): string[] {
  return Array.isArray(value)
    ? value.map((item) => (typeof item === "string" ? item : JSON.stringify(item)))
    : [];
}

/** An action as the model wrote it: without what the item adds for the client. */
function saidBy({ type: _type, ...rest }: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: Json | undefined): boolean {
  return value === null || (isObject(value) && Object.keys(value).length === 0);
}

/**
 * The free text in the arguments of a custom tool's call. Models also choose a member of their own, or write the text
 * bare. A call that was cut has the text as far as it came.
 */
function inputOf(text: string): string {
  const cut = text.replace(/\\(?:u[\da-fA-F]{0,3})?$/, "");
  const given = argumentsOf(text) ?? argumentsOf(`${text}"}`) ?? argumentsOf(`${cut}"}`);
  if (given === undefined) return text;
  const { input } = given;
  if (typeof input === "string") return input;
  const [only, ...others] = Object.values(given);
  if (only === undefined) return "";
  return typeof only === "string" && others.length === 0 ? only : text;
}

/** The content of a result's item as a model is shown it: text, or a list of parts. */
export function resultOf(item: JsonObject): Json {
  const { output } = item;
  if (item["type"] === SHELL.output) return (listField(item, "output") ?? []).map(shellText).join("\n");
  if (typeof output === "string" || Array.isArray(output)) return output;
  if (isObject(output)) return objectResult(output);
  return textField(item, "status") ?? "";
}

/** Older agents wrap a text: `{"content":"…","success":false}`. */
function objectResult(output: JsonObject): Json {
  const { content } = output;
  return typeof content === "string" || Array.isArray(content) ? content : JSON.stringify(output);
}

function shellText(run: Json): string {
  if (!isObject(run)) return "";
  const outcome = objectField(run, "outcome") ?? {};
  const code = numberField(outcome, "exit_code");
  const end = textField(outcome, "type") === "timeout" ? "timed out" : `exit code ${code ?? 0}`;
  const said = [textField(run, "stdout"), textField(run, "stderr")].filter((text) => (text ?? "") !== "");
  return [...said, `(${end})`].join("\n");
}
