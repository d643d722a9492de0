import { join } from "node:path";
import { CODEX_CLIENTS } from "./codex-clients.ts";
import { LIBRARY_CLIENTS } from "./library-clients.ts";
import { type AgentClient, ANSWER, type Place, TASK } from "./client.ts";

const ASIDE = "Say hello to the user.";

const note = ({ project }: Place): string => join(project, "note.txt");

/** One table of what was run, with the versions. */
export const AGENT_CLIENTS: readonly AgentClient[] = [
  ...CODEX_CLIENTS,
  claudeCode("claude-code", (place) => ({
    steps: [
      { tool: "Read", arguments: { file_path: note(place) } },
      { tool: "Read", arguments: { file_path: join(place.project, "paper.pdf") } },
      { tool: "Read", arguments: { file_path: join(place.project, "dot.png") } },
      { tool: "ToolSearch", arguments: { query: "select:WebSearch" } },
      { tool: "WebSearch", arguments: { query: "stargazer gateway" } },
      { tool: "Agent", arguments: { description: "Sub", prompt: ASIDE, subagent_type: "general-purpose" } },
    ],
    answer: ANSWER,
    aside: ASIDE,
  })),
  claudeCode(
    "claude-code (long session)",
    (place) => ({
      steps: [{ tool: "Read", arguments: { file_path: note(place) } }],
      answer: ANSWER,
      long: { promptTokens: 90_000, asked: "detailed summary of the conversation" },
    }),
    ["And now?", "And then?", "/compact", "And now again?"],
  ),
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
  ...LIBRARY_CLIENTS,
];

/** @param further later message of the user in the same session */
function claudeCode(
  name: string,
  script: AgentClient["script"],
  further: readonly string[] = [],
): AgentClient {
  return {
    name,
    package: "@anthropic-ai/claude-code@2.1.332",
    path: "/v1/messages",
    script,
    run: ({ url, model }) => {
      const settings = ["--model", model, "--allowedTools", "Read,ToolSearch,WebSearch,Agent"];
      return {
        command: "claude",
        args: ["-p", TASK, ...settings],
        further: further.map((said) => ["-p", said, "--continue", ...settings]),
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
      };
    },
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
