import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { statusOf } from "../rig/fleet/asked.ts";
import { type Fleet, journey, MODEL as model } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { standInText } from "../rig/backends/stand-in.ts";
import {
  type Breakage,
  breakagesFor,
  BUSY,
  busyWays,
  CALM,
  IMPATIENT,
  type Kind,
  triesOf,
  waysOf,
} from "./broken-backends.ts";
import { type Client, type Outcome, outcomeOf, SDK_CLIENTS } from "./sdk-clients.ts";

/** A broken answer is an error for every client library, never a success. */

const STAYS = new AbortController().signal;

interface Trial {
  readonly fleet: Fleet;
  readonly kind: Kind;
  readonly client: Client;
  readonly stream: boolean;
}

async function assertRaises({ fleet, kind, client, stream }: Trial, breakage: Breakage): Promise<void> {
  const { behaviour } = fleet.post().standIn;
  Object.assign(behaviour, breakage.behave(kind));
  const call = { url: fleet.gateway.url, stream, tokens: 20, signal: STAYS };
  const { text, error } = await outcomeOf(client, call);
  assert.ok(error instanceof Error, `no error, but ${JSON.stringify(text)}`);
  // Tokens that come in one piece with the error may be lost, none may be made up.
  assert.ok(standInText(stream ? breakage.tokens : 0).startsWith(text), text);
  Object.assign(behaviour, CALM);
}

/** The status that a client library tells. */
function statusIn(error: Error): number | undefined {
  return statusOf(error) ?? (error as { statusCode?: number }).statusCode;
}

async function assertAnswers({ fleet, client, stream }: Trial): Promise<void> {
  const call = { url: fleet.gateway.url, stream, tokens: 5, signal: STAYS };
  assert.deepEqual(await outcomeOf(client, call), { text: standInText(5), error: undefined });
}

/** The backend tells two tokens and no more; the client leaves, and the backend is told so. */
async function assertLeaves({ fleet, client }: Trial): Promise<void> {
  const { standIn } = fleet.post();
  Object.assign(standIn.behaviour, { hangAfter: 2 });
  const before = standIn.requests.length;
  const leaves = new AbortController();
  const call = { url: fleet.gateway.url, stream: true, tokens: 20, signal: leaves.signal };
  const { text, error } = await outcomeOf(client, call, (heard) => {
    if (heard === standInText(2)) leaves.abort();
  });
  Object.assign(standIn.behaviour, CALM);
  assert.equal(text, standInText(2));
  // openai's plain streams just end for those who leave themselves.
  assert.ok(error === undefined || error instanceof Error);
  // A worker may have sent its backend an own request in between, to find the cause of a failure.
  await until("the backend to know", () =>
    standIn.requests.slice(before).some(({ outcome }) => outcome === "aborted"),
  );
}

for (const kind of ["ollama", "openai"] as const) {
  journey(
    `broken answers of a backend that speaks ${kind}`,
    { posts: [{ speaks: kind }] },
    async (fleet, t) => {
      for (const [name, client] of Object.entries(SDK_CLIENTS)) {
        await t.test(name, async (inner) => {
          for (const stream of waysOf(name)) {
            const trial = { fleet, kind, client, stream };
            const way = stream ? "stream" : "whole";
            await inner.test(`${way}: is answered`, () => assertAnswers(trial));
            for (const breakage of breakagesFor(stream)) {
              await inner.test(`${way}: ${breakage.name}`, () => assertRaises(trial, breakage));
            }
            await inner.test(`${way}: is answered after all that`, () => assertAnswers(trial));
          }
          await inner.test("hangs until the client leaves", () =>
            assertLeaves({ fleet, kind, client, stream: true }),
          );
        });
      }
    },
  );
}

/** All at once, each with a model of its own: they wait side by side. */
const BUSY_WAYS = busyWays(Object.keys(SDK_CLIENTS));

for (const kind of ["ollama", "openai"] as const) {
  const models = [model, ...BUSY_WAYS.map((way) => way.model)].map((name) => `${name}:latest`);
  journey(
    `a busy backend that speaks ${kind}`,
    { posts: [{ speaks: kind, models, slots: BUSY_WAYS.length }], env: IMPATIENT },
    async (fleet, t) => {
      const { standIn } = fleet.post();
      const askAll = () =>
        BUSY_WAYS.map(({ client, stream, model: of }) => {
          const call = { url: fleet.gateway.url, stream, tokens: 5, signal: STAYS, model: of };
          return outcomeOf(SDK_CLIENTS[client] ?? assert.fail(), call);
        });
      const tellAll = async (tell: (outcome: Outcome, asked: string) => void): Promise<void> => {
        const asked = askAll();
        for (const [index, { client, stream, model: of }] of BUSY_WAYS.entries()) {
          await t.test(`${client}, ${stream ? "stream" : "whole"}`, async () => {
            tell((await asked[index]) ?? assert.fail(), of);
          });
        }
      };
      Object.assign(standIn.behaviour, BUSY);
      await tellAll(({ text, error }, asked) => {
        assert.ok(error instanceof Error, `no error, but ${JSON.stringify(text)}`);
        assert.equal(text, "");
        assert.equal(statusIn(error), 503);
        assert.equal(triesOf(standIn, asked), Number(IMPATIENT.SGNET_BUSY_LIMIT));
      });
      Object.assign(standIn.behaviour, CALM);
      await tellAll((outcome) => assert.deepEqual(outcome, { text: standInText(5), error: undefined }));
    },
  );
}

journey("a client library that is told to come back later comes back", {}, async (fleet, t) => {
  const { standIn } = fleet.post();
  const { url } = fleet.gateway;
  const messages = [{ role: "user" as const, content: "hello" }];
  const tries = { apiKey: "none", maxRetries: 3 };
  const askers: Readonly<Record<string, () => Promise<unknown>>> = {
    openai: async () => {
      const client = new OpenAI({ baseURL: `${url}/v1`, ...tries });
      const reply = await client.chat.completions.create({ model, messages, max_tokens: 5 });
      return reply.choices[0]?.message.content;
    },
    anthropic: async () => {
      const client = new Anthropic({ baseURL: url, ...tries });
      const reply = await client.messages.create({ model, messages, max_tokens: 5 });
      return reply.content[0]?.type === "text" ? reply.content[0].text : undefined;
    },
  };
  for (const [name, ask] of Object.entries(askers)) {
    await t.test(name, async () => {
      const refusedBefore = standIn.requests.filter(({ outcome }) => outcome === "refused").length;
      standIn.behaviour.refuse = { status: 503, message: "come back later", retryAfter: 1 };
      const answer = ask();
      await standIn.waitFor("refused", refusedBefore + 1);
      Object.assign(standIn.behaviour, CALM);
      assert.equal(await answer, standInText(5));
    });
  }
});
