import { join } from "node:path";
import { type AgentClient, ANSWER, type Place, TASK } from "./client.ts";

const MCP_SERVER = join(import.meta.dirname, "mcp-server.ts");

/** The prompt with which Codex shortens a conversation. */
const SHORTEN = "Say in one sentence what was done so far.";

const PATCH = ["*** Begin Patch", "*** Add File: new.txt", "+hello", "*** End Patch", ""].join("\n");

/** Codex in its own set-up, with an MCP server, and with what it does for models that it knows. */
export const CODEX_CLIENTS: readonly AgentClient[] = [
  codex("codex", {
    script: {
      steps: [
        { tool: "exec_command", arguments: { cmd: "cat note.txt" } },
        { tool: "read_note", arguments: { title: "x" } },
      ],
      answer: ANSWER,
    },
  }),
  codex("codex (free-form tools)", {
    script: {
      steps: [
        { tool: "apply_patch", arguments: { input: PATCH } },
        { tool: "exec_command", arguments: { cmd: "cat new.txt" } },
      ],
      answer: ANSWER,
    },
    settings: catalogue,
    card: { apply_patch_tool_type: "freeform" },
  }),
  codex("codex (tool search)", {
    script: {
      steps: [
        { tool: "tool_search", arguments: { query: "note" } },
        { tool: "read_note", arguments: { title: "x" } },
      ],
      answer: ANSWER,
    },
    settings: catalogue,
    card: { supports_search_tool: true },
  }),
  codex("codex (code mode)", {
    script: { steps: [{ tool: "exec", arguments: { input: "text('from the code');" } }], answer: ANSWER },
    settings: catalogue,
    card: { tool_mode: "code_mode_only" },
  }),
  codex("codex (long session)", {
    script: {
      steps: [{ tool: "exec_command", arguments: { cmd: "cat note.txt" } }],
      answer: ANSWER,
      long: { promptTokens: 50_000, asked: SHORTEN },
    },
    settings: () => ["model_auto_compact_token_limit = 40000", `compact_prompt = "${SHORTEN}"`],
  }),
];

interface Variant {
  readonly script: ReturnType<AgentClient["script"]>;
  /** More lines at the head of its settings. */
  readonly settings?: (place: Place) => readonly string[];
  /** Entry of the model in its catalogue. */
  readonly card?: Readonly<Record<string, unknown>>;
}

function codex(name: string, { script, settings = () => [], card }: Variant): AgentClient {
  return {
    name,
    package: "@openai/codex@0.171.0",
    path: "/v1/responses",
    script: () => script,
    run: (place) => ({
      command: "codex",
      args: ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK],
      files: {
        ".codex/config.toml": [...settings(place), ...settingsOf(place)].join("\n"),
        ...(card === undefined ? {} : { "models.json": JSON.stringify({ models: [cardOf(place, card)] }) }),
      },
    }),
  };
}

function catalogue({ home }: Place): readonly string[] {
  return [`model_catalog_json = "${join(home, "models.json")}"`];
}

function settingsOf({ url, model }: Place): readonly string[] {
  return [
    `model = "${model}"`,
    'model_provider = "stargazer"',
    "check_for_update_on_startup = false",
    "[analytics]",
    "enabled = false",
    "[model_providers.stargazer]",
    'name = "Stargazer"',
    `base_url = "${url}/v1"`,
    'wire_api = "responses"',
    "[mcp_servers.notes]",
    `command = "${process.execPath}"`,
    `args = ["${MCP_SERVER}"]`,
  ];
}

/** A model as Codex's own catalogue lists them. */
function cardOf({ model }: Place, card: Readonly<Record<string, unknown>>): object {
  return {
    slug: model,
    display_name: model,
    description: "A model of ours.",
    default_reasoning_level: "medium",
    supported_reasoning_levels: [{ effort: "medium", description: "Balanced" }],
    shell_type: "unified_exec",
    visibility: "list",
    supported_in_api: true,
    priority: 1,
    additional_speed_tiers: [],
    service_tiers: [],
    availability_nux: null,
    upgrade: null,
    base_instructions: "You are Codex, a coding agent.",
    include_skills_usage_instructions: false,
    include_plugin_usage_instructions: false,
    include_apps_usage_instructions: false,
    default_reasoning_summary: "none",
    support_verbosity: true,
    default_verbosity: "low",
    web_search_tool_type: "text",
    truncation_policy: { mode: "tokens", limit: 10_000 },
    supports_parallel_tool_calls: true,
    context_window: 128_000,
    max_context_window: 128_000,
    effective_context_window_percent: 95,
    experimental_supported_tools: [],
    input_modalities: ["text", "image"],
    ...card,
  };
}
