import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addBackend, type Kind, KINDS, modelOf } from "../agents/backends.ts";
import type { AgentFixture } from "../agents/fixture.ts";
import { AGENT_CLIENTS } from "../agents/clients.ts";
import { assertPrefixes, type Prompt, promptOf } from "../agents/prefixes.ts";
import type { ModelScript } from "../rig/backends/scripted-model.ts";
import type { StandIn } from "../rig/backends/stand-in.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";

/** Requests of agents, recorded by `make agents ARGS=--record`, go again through a gateway to a backend of each kind. */

const FOLDER = join(import.meta.dirname, "../fixtures/agents");
const FIXTURES = readdirSync(FOLDER).map((file) => {
  return JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as AgentFixture;
});

type Request = AgentFixture["requests"][number];

/** Claude Code's line for Anthropic's bookkeeping is another one at each request. */
function withNewHash(body: Request["body"], number: number): Record<string, unknown> {
  const { system } = body;
  if (!Array.isArray(system)) return { ...body };
  const blocks = system as readonly { readonly text: string }[];
  const billing = blocks.find(({ text }) => text.startsWith("x-anthropic-billing-header:"));
  if (billing === undefined) return { ...body };
  const changed = { ...billing, text: `${billing.text} cch=${number.toString(16)};` };
  return { ...body, system: blocks.map((block) => (block === billing ? changed : block)) };
}

async function send(fleet: Fleet, kind: Kind, request: Request, number: number): Promise<Response> {
  return fetch(fleet.gateway.url + request.path, {
    method: "POST",
    headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
    body: JSON.stringify({ ...withNewHash(request.body, number), model: modelOf(kind) }),
  });
}

function lastPrompt(standIn: StandIn): Prompt {
  const last = standIn.requests.at(-1);
  assert.ok(last);
  return promptOf(last.body);
}

/** The calls of the recorded loops, in the form that their client knows them by. */
const CALLS: Readonly<Record<string, readonly RegExp[]>> = {
  codex: [/"type":"function_call"[^{}]*"name":"exec_command"/, /"name":"read_note","namespace":"mcp__notes"/],
  "codex (free-form tools)": [/"type":"custom_tool_call"[^{}]*"name":"apply_patch"[^{}]*Begin Patch/],
  "codex (tool search)": [/"type":"tool_search_call"/, /"name":"read_note","namespace":"mcp__notes"/],
  "codex (code mode)": [/"type":"custom_tool_call"[^{}]*"name":"exec"[^{}]*from the code/],
};

/** The recorded loop of the model for an agent. Replies then have calls of each sort, too. */
function scriptOf(name: string): ModelScript {
  const client = AGENT_CLIENTS.find((one) => one.name === name);
  assert.ok(client, name);
  const project = "/home/user/project";
  return client.script({ home: "/home/user", project, url: "", package: "", model: "" });
}

/** Sends all requests of an agent; gives the prompts that the backend saw and the replies. */
async function replay(
  fleet: Fleet,
  { kind, standIn }: { readonly kind: Kind; readonly standIn: StandIn },
  { client, requests }: AgentFixture,
): Promise<{ readonly prompts: readonly Prompt[]; readonly replies: readonly string[] }> {
  const prompts: Prompt[] = [];
  const replies: string[] = [];
  for (const [index, request] of requests.entries()) {
    const about = `${client}, request ${index}, on ${kind}`;
    const answer = await send(fleet, kind, request, index);
    replies.push(await answer.text());
    assert.equal(answer.status, 200, `${about}: ${replies.at(-1)}`);
    const told = answer.headers.get("x-sgnet-dropped")?.split(", ") ?? [];
    for (const name of request.dropped) assert.ok(told.includes(name), `${about}: ${name} is not named`);
    assert.doesNotMatch(replies.at(-1) ?? "", /event: error|"type":"error"/, about);
    prompts.push(lastPrompt(standIn));
  }
  return { prompts, replies };
}

journey(
  "agents of 2026, as recorded, on a backend of each kind",
  { posts: [], limitMs: 180_000 },
  async (fleet, t) => {
    for (const kind of KINDS) {
      let script: ModelScript = { steps: [], answer: "" };
      const standIn = await addBackend(fleet, kind, () => script);
      try {
        await fleet.known(modelOf(kind));
        for (const fixture of FIXTURES) {
          await t.test(`${fixture.client} on ${kind}`, async () => {
            script = scriptOf(fixture.client);
            const { prompts, replies } = await replay(fleet, { kind, standIn }, fixture);
            const pairs = assertPrefixes(prompts, `${fixture.client} on ${kind}`);
            assert.ok(pairs > 0, "no two requests are of one conversation");
            assert.doesNotMatch(JSON.stringify(prompts), /x-anthropic-billing-header/);
            for (const [index, call] of (CALLS[fixture.client] ?? []).entries())
              assert.match(replies[index] ?? "", call, `${fixture.client} on ${kind}, reply ${index}`);
          });
        }
      } finally {
        await standIn.stop();
      }
    }
  },
);
