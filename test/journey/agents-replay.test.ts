import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentFixture } from "../agents/fixture.ts";
import { type ModelScript, scriptedAnswers } from "../agents/scripted-model.ts";
import { startStandIn, type StandIn } from "../stand-in.ts";
import { type Fleet, journey } from "./fleet.ts";

/** Requests of agents, recorded by `make agents ARGS=--record`, go again through a gateway to a backend of each kind. */

const KINDS = ["openai", "ollama", "llamacpp", "vllm", "lmstudio", "exo"] as const;
type Kind = (typeof KINDS)[number];

const FOLDER = join(import.meta.dirname, "../fixtures/agents");
const FIXTURES = readdirSync(FOLDER).map((file) => {
  return JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as AgentFixture;
});

type Request = AgentFixture["requests"][number];

interface Message {
  readonly role: string;
}

/** A prompt as a backend was sent it. */
interface Prompt {
  readonly messages: readonly Message[];
  readonly text: string;
}

const modelOf = (kind: Kind): string => `tiny-${kind}`;

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

function promptOf(standIn: StandIn): Prompt {
  const last = standIn.requests.at(-1);
  assert.ok(last);
  const messages = last.body["messages"] as readonly Message[];
  return { messages, text: JSON.stringify(messages).slice(0, -1) };
}

/** Two prompts are of one conversation when they begin with the same two messages. */
function isSameConversation(a: Prompt, b: Prompt): boolean {
  return JSON.stringify(a.messages.slice(0, 2)) === JSON.stringify(b.messages.slice(0, 2));
}

/** Every later prompt of a conversation begins, byte by byte, with every earlier one. */
function assertPrefixes(prompts: readonly Prompt[], about: string): number {
  let pairs = 0;
  for (const [index, later] of prompts.entries()) {
    for (const earlier of prompts.slice(0, index)) {
      if (!isSameConversation(earlier, later)) continue;
      pairs += 1;
      assert.ok(later.text.startsWith(earlier.text), `${about}: request ${index} breaks the prefix`);
    }
  }
  return pairs;
}

/** The tools of the recorded loops, so that replies have calls of each sort too. */
const SCRIPT: ModelScript = {
  steps: [
    { tool: "exec_command", arguments: { cmd: "cat note.txt" } },
    { tool: "read_note", arguments: { title: "x" } },
  ],
  answer: "Done.",
};

/** Exo tells which of its models have an instance. */
function documentsOf(kind: Kind): Record<string, unknown> {
  const instance = { shardAssignments: { modelId: modelOf(kind) } };
  return kind === "exo" ? { "/state": { instances: { one: instance } } } : {};
}

/** A worker with a backend of this kind. */
async function addBackend(fleet: Fleet, kind: Kind): Promise<StandIn> {
  const standIn = await startStandIn({
    speaks: kind === "ollama" ? "ollama" : "openai",
    models: [modelOf(kind)],
    answers: scriptedAnswers(() => SCRIPT),
    documents: documentsOf(kind),
  });
  await fleet.addBareWorker({ SGNET_BACKENDS: `${kind}+${standIn.url}`, SGNET_SLOTS: "2" });
  return standIn;
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
    prompts.push(promptOf(standIn));
  }
  return { prompts, replies };
}

journey(
  "agents of 2026, as recorded, on a backend of each kind",
  { posts: [], limitMs: 180_000 },
  async (fleet, t) => {
    for (const kind of KINDS) {
      const standIn = await addBackend(fleet, kind);
      try {
        await fleet.known(modelOf(kind));
        for (const fixture of FIXTURES) {
          await t.test(`${fixture.client} on ${kind}`, async () => {
            const { prompts, replies } = await replay(fleet, { kind, standIn }, fixture);
            const pairs = assertPrefixes(prompts, `${fixture.client} on ${kind}`);
            assert.ok(pairs > 0, "no two requests are of one conversation");
            assert.doesNotMatch(JSON.stringify(prompts), /x-anthropic-billing-header/);
            if (fixture.client === "codex") {
              assert.match(replies[1] ?? "", /"name":"read_note","namespace":"mcp__notes"/);
            }
          });
        }
      } finally {
        await standIn.stop();
      }
    }
  },
);
