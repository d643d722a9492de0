import type { Tool } from "../../core/chat.ts";
import { isObject, type Json, type JsonObject } from "../../core/json.ts";
import { parseArguments, argumentsText } from "../tool-arguments.ts";
import { definedFields, listField, numberField, objectField, textField } from "../fields.ts";
import { readTool } from "./chat-request.ts";

/**
 * Tools of OpenAI's responses that the client runs. A model gets each as a function with a schema. Its calls return
 * to the client as items of the tool's own type. OpenAI's API reference defines schemas and items.
 */
export interface ToolForm {
  /** The `type` of the tool. */
  readonly type: string;
  /** The `type` of its calls, and of their results. */
  readonly call: string;
  readonly output: string;
  /** Prefix of the ids of its calls' items. */
  readonly prefix: string;
  /** The tool for a model, without a name. Undefined for a tool that a server runs. */
  offer(tool: JsonObject): Omit<Tool, "name"> | undefined;
  /** The arguments of a call in the client's history, as JSON text of an object. Throws `invalid_request`. */
  argumentsText(item: JsonObject): string;
  /** The fields of the client's item for a call with these arguments, which may be incomplete. */
  itemFields(text: string): JsonObject;
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
  /** A truncated call stays in the history as it is, because an error would end the conversation. */
  argumentsText: (item) => argumentsText(textField(item, "arguments") ?? ""),
  itemFields: (text) => ({ arguments: text.trim() || "{}" }),
};

/** A tool with free text. Other models can only write that as a member of the arguments. */
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
      ...definedFields({ description: description.length === 0 ? undefined : description.join("\n\n") }),
      parameters: schema({ input }, ["input"]),
    };
  },
  argumentsText: (item) => JSON.stringify({ input: textField(item, "input") ?? "" }),
  itemFields: (text) => ({ input: inputOf(text) }),
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
  argumentsText: (item) => JSON.stringify(actionFields(objectField(item, "action") ?? {})),
  itemFields(text) {
    const { command, env, timeout_ms: timeout, working_directory: folder, user } = parseArguments(text) ?? {};
    const given = { timeout_ms: timeout ?? null, working_directory: folder ?? null, user: user ?? null };
    return { action: { type: "exec", command: wordsOf(command), env: isObject(env) ? env : {}, ...given } };
  },
};

const SHELL: ToolForm = {
  type: "shell",
  call: "shell_call",
  output: "shell_call_output",
  prefix: "sh",
  /** Environments other than the client's are containers of the vendor. */
  offer(tool) {
    const place = textField(objectField(tool, "environment") ?? {}, "type") ?? "local";
    if (place !== "local") return undefined;
    const commands = { ...TEXTS, description: "Command lines, each run by a shell." };
    return {
      description: "Runs commands in a shell on the user's machine and returns their output.",
      parameters: schema({ commands, timeout_ms: COUNT, max_output_length: COUNT }, ["commands"]),
    };
  },
  argumentsText: (item) => JSON.stringify(actionFields(objectField(item, "action") ?? {})),
  itemFields(text) {
    const { commands, timeout_ms: timeout, max_output_length: most } = parseArguments(text) ?? {};
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
  argumentsText: (item) => JSON.stringify(objectField(item, "operation") ?? {}),
  itemFields(text) {
    const { type, path, diff } = parseArguments(text) ?? {};
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
  /** A server-side search chooses among the request's tools, so all of them are offered instead. */
  offer(tool) {
    if (textField(tool, "execution") !== "client") return undefined;
    const parameters = objectField(tool, "parameters") ?? schema({ query: TEXT }, ["query"]);
    const description = textField(tool, "description") ?? "Finds more tools and makes them available.";
    return { description, parameters };
  },
  argumentsText({ arguments: value }) {
    if (typeof value === "string" && parseArguments(value) !== undefined) return value;
    return JSON.stringify(isObject(value) ? value : {});
  },
  itemFields: (text) => ({ execution: "client", arguments: parseArguments(text) ?? {} }),
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

/** True for tool types with several tools, which have names. */
export function isNamed({ type }: ToolForm): boolean {
  return type === "function" || type === "custom";
}

function schema(properties: JsonObject, required: Json[]): JsonObject {
  return { type: "object", properties, required, additionalProperties: false };
}

/** A command in one line needs a shell. */
function wordsOf(command: Json | undefined): string[] {
  return typeof command === "string" ? ["bash", "-lc", command] : textsIn(command);
}

function textsIn(value: Json | undefined): string[] {
  return Array.isArray(value)
    ? value.map((item) => (typeof item === "string" ? item : JSON.stringify(item)))
    : [];
}

/** The action as the model wrote it, without the item's additions. */
function actionFields({ type: _type, ...rest }: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => !isEmpty(value)));
}

function isEmpty(value: Json | undefined): boolean {
  return value === null || (isObject(value) && Object.keys(value).length === 0);
}

/**
 * The free text in the arguments of a custom tool's call. Models may rename the member or write the bare text. A
 * truncated call has the text so far.
 */
function inputOf(text: string): string {
  const cut = text.replace(/\\(?:u[\da-fA-F]{0,3})?$/, "");
  const given = parseArguments(text) ?? parseArguments(`${text}"}`) ?? parseArguments(`${cut}"}`);
  if (given === undefined) return text;
  const { input } = given;
  if (typeof input === "string") return input;
  const [only, ...others] = Object.values(given);
  if (only === undefined) return "";
  return typeof only === "string" && others.length === 0 ? only : text;
}

/** The content of a result for a model: text, or a list of parts. */
export function resultOf(item: JsonObject): Json {
  const { output } = item;
  if (item["type"] === SHELL.output) return (listField(item, "output") ?? []).map(shellText).join("\n");
  if (typeof output === "string" || Array.isArray(output)) return output;
  if (isObject(output)) return objectResult(output);
  return textField(item, "status") ?? "";
}

/** Older agents wrap the text: `{"content":"…","success":false}`. */
function objectResult(output: JsonObject): Json {
  const { content } = output;
  return typeof content === "string" || Array.isArray(content) ? content : JSON.stringify(output);
}

function shellText(run: Json): string {
  if (!isObject(run)) return "";
  const outcome = objectField(run, "outcome") ?? {};
  const code = numberField(outcome, "exit_code");
  const end = textField(outcome, "type") === "timeout" ? "timed out" : `exit code ${code ?? 0}`;
  const output = [textField(run, "stdout"), textField(run, "stderr")].filter((text) => (text ?? "") !== "");
  return [...output, `(${end})`].join("\n");
}
