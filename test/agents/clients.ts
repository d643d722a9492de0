import { join } from "node:path";
import type { ModelScript } from "./scripted-model.ts";

/** Where a client runs: all of it is removed afterwards. */
export interface Place {
  /** Its home, its project with `note.txt` in it, and the gateway. */
  readonly home: string;
  readonly project: string;
  readonly url: string;
  /** The folder of its npm package. */
  readonly package: string;
  readonly model: string;
}

export interface Run {
  /** Below the package's `node_modules/.bin`, or a file that Node runs. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files it finds, by their paths below its home. */
  readonly files?: Readonly<Record<string, string>>;
}

/** A client as people run it, without a person: with its own settings for no telemetry and no updates. */
export interface AgentClient {
  readonly name: string;
  readonly package: string;
  /** Where it sends its requests. */
  readonly path: string;
  readonly script: (place: Place) => ModelScript;
  readonly run: (place: Place) => Run;
}

export const NOTE = "the first line of the note";
export const ANSWER = "All is done as you asked.";
const ASIDE = "Say hello to the user.";
const TASK = "Read the file note.txt and say what it says.";

const note = ({ project }: Place): string => join(project, "note.txt");
const MCP_SERVER = join(import.meta.dirname, "mcp-server.ts");

/** One table of what was run, with the versions. */
export const AGENT_CLIENTS: readonly AgentClient[] = [
  {
    name: "codex",
    package: "@openai/codex@0.171.0",
    path: "/v1/responses",
    script: () => ({
      steps: [
        { tool: "exec_command", arguments: { cmd: "cat note.txt" } },
        { tool: "read_note", arguments: { title: "x" } },
      ],
      answer: ANSWER,
    }),
    run: ({ url, model }) => ({
      command: "codex",
      args: ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", TASK],
      files: {
        ".codex/config.toml": [
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
        ].join("\n"),
      },
    }),
  },
  {
    name: "claude-code",
    package: "@anthropic-ai/claude-code@2.1.332",
    path: "/v1/messages",
    script: (place) => ({
      steps: [
        { tool: "Read", arguments: { file_path: note(place) } },
        { tool: "Read", arguments: { file_path: join(place.project, "paper.pdf") } },
        { tool: "Read", arguments: { file_path: join(place.project, "dot.png") } },
        { tool: "ToolSearch", arguments: { query: "select:WebSearch" } },
        { tool: "WebSearch", arguments: { query: "stargazer gateway" } },
        {
          tool: "Agent",
          arguments: { description: "Sub", prompt: ASIDE, subagent_type: "general-purpose" },
        },
      ],
      answer: ANSWER,
      aside: ASIDE,
    }),
    run: ({ url, model }) => ({
      command: "claude",
      args: ["-p", TASK, "--model", model, "--allowedTools", "Read,ToolSearch,WebSearch,Agent"],
      env: {
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_API_KEY: "none",
        ANTHROPIC_SMALL_FAST_MODEL: model,
        CLAUDE_CODE_SUBAGENT_MODEL: model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_TELEMETRY: "1",
        DISABLE_ERROR_REPORTING: "1",
        DISABLE_AUTOUPDATER: "1",
      },
    }),
  },
  cline("openai-compatible", "/v1/chat/completions"),
  cline("anthropic", "/v1/messages"),
  {
    name: "opencode",
    package: "opencode-ai@1.18.33",
    path: "/v1/chat/completions",
    script: (place) => ({ steps: [{ tool: "read", arguments: { filePath: note(place) } }], answer: ANSWER }),
    run: ({ url, model }) => ({
      command: "opencode",
      args: ["run", TASK],
      env: {
        OPENCODE_DISABLE_AUTOUPDATE: "1",
        OPENCODE_DISABLE_MODELS_FETCH: "1",
        OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      },
      files: {
        ".config/opencode/opencode.json": JSON.stringify({
          autoupdate: false,
          share: "disabled",
          model: `stargazer/${model}`,
          small_model: `stargazer/${model}`,
          provider: {
            stargazer: {
              npm: "@ai-sdk/openai-compatible",
              options: { baseURL: `${url}/v1`, apiKey: "none" },
              models: { [model]: { name: model } },
            },
          },
        }),
      },
    }),
  },
  {
    name: "qwen-code",
    package: "@qwen-code/qwen-code@0.24.4",
    path: "/v1/chat/completions",
    script: (place) => ({
      steps: [{ tool: "read_file", arguments: { file_path: note(place) } }],
      answer: ANSWER,
    }),
    run: ({ url, model }) => ({
      command: "qwen",
      args: ["-p", TASK, "--auth-type", "openai"],
      env: { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: "none", OPENAI_MODEL: model },
      files: {
        ".qwen/settings.json": JSON.stringify({
          general: { enableAutoUpdate: false },
          privacy: { usageStatisticsEnabled: false },
          telemetry: { enabled: false },
        }),
      },
    }),
  },
  aiSdk("ai-sdk", []),
  aiSdk("ai-sdk (store: false)", ["no-store"]),
];

function aiSdk(name: string, more: readonly string[]): AgentClient {
  return {
    name,
    package: "@ai-sdk/openai@4.0.118",
    path: "/v1/responses",
    script: () => ({ steps: [{ tool: "read", arguments: { path: "note.txt" } }], answer: ANSWER }),
    run: ({ url, model, package: folder }) => ({
      command: join(import.meta.dirname, "ai-sdk-turns.ts"),
      args: [folder, `${url}/v1`, model, ...more],
    }),
  };
}

function cline(provider: string, path: string): AgentClient {
  return {
    name: `cline (${provider})`,
    package: "cline@3.0.65",
    path,
    script: (place) => ({
      steps: [{ tool: "read_files", arguments: { files: [{ path: note(place) }] } }],
      answer: ANSWER,
    }),
    run: ({ url, model, project }) => ({
      command: "cline",
      args: ["--json", "-P", provider, "-m", model, "-c", project, TASK],
      env: { CLINE_NO_AUTO_UPDATE: "1", DO_NOT_TRACK: "1" },
      files: {
        ".cline/data/settings/providers.json": JSON.stringify({
          version: 1,
          lastUsedProvider: provider,
          modes: {},
          providers: {
            [provider]: {
              settings: { provider, apiKey: "none", model, baseUrl: `${url}/v1` },
              updatedAt: "2026-01-01T00:00:00.000Z",
              tokenSource: "manual",
            },
          },
        }),
      },
    }),
  };
}
