import type { Tool } from "../../core/chat.ts";
import type { Json, JsonObject } from "../../core/json.ts";
import type { BodyFields } from "../fields.ts";

/**
 * Schemas of tools that Anthropic's models know by name and clients run. Other models need them in the request. The
 * fields follow Anthropic's reference.
 */

const TEXT = { type: "string" };
const FLAG = { type: "boolean" };
const WHOLE = { type: "integer" };
const PLACE = { type: "array", items: WHOLE, description: "x and y, in pixels" };

/** The description and schema of a tool that models know by its type; undefined for any other tool. */
export function knownTool(tool: BodyFields): Omit<Tool, "name"> | undefined {
  const [, kind = "", version = ""] =
    /^(bash|text_editor|memory|computer)_(\d{8})$/.exec(tool.text("type")) ?? [];
  switch (kind) {
    case "bash":
      return BASH;
    case "text_editor":
      return version < "20250429" ? OLD_EDITOR : EDITOR;
    case "memory":
      return MEMORY;
    case "computer":
      return computer(tool);
    default:
      return undefined;
  }
}

const BASH: Omit<Tool, "name"> = {
  description: "Runs a command in a bash session that stays open between calls, or starts it anew.",
  parameters: schema({ command: TEXT, restart: FLAG }, []),
};

const FILE_FIELDS = {
  path: { ...TEXT, description: "The file or folder." },
  view_range: {
    type: "array",
    items: WHOLE,
    description: "First and last line to view, from 1; -1 is the end.",
  },
  file_text: { ...TEXT, description: "For create: the content of the file." },
  old_str: { ...TEXT, description: "For str_replace: the text to replace. It must be there exactly once." },
  insert_line: { ...WHOLE, description: "For insert: the line to insert after; 0 is the beginning." },
};

const EDITOR: Omit<Tool, "name"> = {
  description: "Views, creates and changes text files.",
  parameters: commands(["view", "create", "str_replace", "insert"], {
    ...FILE_FIELDS,
    new_str: { ...TEXT, description: "For str_replace: the new text." },
    insert_text: { ...TEXT, description: "For insert: the text to insert." },
  }),
};

const OLD_EDITOR: Omit<Tool, "name"> = {
  description: "Views, creates and changes text files, and takes a change back.",
  parameters: commands(["view", "create", "str_replace", "insert", "undo_edit"], {
    ...FILE_FIELDS,
    new_str: { ...TEXT, description: "For str_replace and insert: the new text." },
  }),
};

const MEMORY: Omit<Tool, "name"> = {
  description: "Keeps notes between conversations, as files below /memories.",
  parameters: schema(
    {
      command: { type: "string", enum: ["view", "create", "str_replace", "insert", "delete", "rename"] },
      ...FILE_FIELDS,
      new_str: { ...TEXT, description: "For str_replace: the new text." },
      insert_text: { ...TEXT, description: "For insert: the text to insert." },
      old_path: { ...TEXT, description: "For rename." },
      new_path: { ...TEXT, description: "For rename." },
    },
    ["command"],
  ),
};

const FIRST_ACTIONS =
  "key type mouse_move left_click left_click_drag right_click middle_click double_click screenshot cursor_position".split(
    " ",
  );
const LATER_ACTIONS = "left_mouse_down left_mouse_up scroll hold_key wait triple_click".split(" ");

function computer(tool: BodyFields): Omit<Tool, "name"> {
  const [width, height] = [tool.integer("display_width_px"), tool.integer("display_height_px")];
  const actions = [
    ...FIRST_ACTIONS,
    ...(tool.text("type") > "computer_20241022" ? LATER_ACTIONS : []),
    ...(tool.flag("enable_zoom") === true ? ["zoom"] : []),
  ];
  const size =
    width === undefined || height === undefined ? "" : ` The screen is ${width} x ${height} pixels.`;
  return {
    description: `Uses the mouse and the keyboard of a computer, and takes screenshots.${size}`,
    parameters: schema(
      {
        action: { type: "string", enum: actions },
        coordinate: PLACE,
        start_coordinate: PLACE,
        // oxlint-disable-next-line sgnet/plain-english -- a part of the prompt: its bytes stay
        text: { ...TEXT, description: "What to type, or the keys to press." },
        duration: { type: "number", description: "For hold_key and wait, in seconds." },
        scroll_direction: { type: "string", enum: ["up", "down", "left", "right"] },
        scroll_amount: WHOLE,
        region: { type: "array", items: WHOLE, description: "For zoom: x and y of two corners." },
      },
      ["action"],
    ),
  };
}

function commands(names: readonly string[], fields: JsonObject): JsonObject {
  return schema({ command: { type: "string", enum: [...names] }, ...fields }, ["command", "path"]);
}

function schema(properties: JsonObject, required: Json[]): JsonObject {
  return { type: "object", properties, required };
}
