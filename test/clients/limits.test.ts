import assert from "node:assert/strict";
import { describe, it } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { Fault } from "../../src/core/fault.ts";
import {
  cardOf,
  keyOf,
  refuses,
  ScriptedLimit,
  startLimited,
  type LimitedGateway,
} from "../gateway/limited-gateway.ts";
import type { TestContext } from "node:test";

/** Requests that are refused by a limit or by their key, through the official client libraries. */

const messages = [{ role: "user" as const, content: "hello" }];

interface Sdk {
  readonly errors: Readonly<
    Record<
      "RateLimitError" | "AuthenticationError" | "PermissionDeniedError" | "NotFoundError",
      new (...args: never[]) => Error
    >
  >;
  /** The code of our fault, as the library tells it; for some OpenAI has an own name. */
  readonly codes: Readonly<
    Record<"rate_limited" | "concurrency_limited" | "budget_exceeded" | "forbidden", string>
  >;
  codeOf(error: Error): unknown;
  /** Resolves with the text of an answer. */
  ask(url: string, question: { apiKey: string; model: string; stream: boolean }): Promise<string | undefined>;
}

const SDKS: Readonly<Record<string, Sdk>> = {
  openai: {
    errors: OpenAI,
    codes: {
      rate_limited: "rate_limit_exceeded",
      concurrency_limited: "concurrency_limited",
      budget_exceeded: "insufficient_quota",
      forbidden: "forbidden",
    },
    codeOf: (error) => (error as InstanceType<typeof OpenAI.APIError>).code,
    ask: async (url, { apiKey, model, stream }) => {
      const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 2 });
      if (stream) {
        await client.chat.completions.create({ model, messages, stream });
        return undefined;
      }
      const reply = await client.chat.completions.create({ model, messages });
      return reply.choices[0]?.message.content ?? undefined;
    },
  },
  anthropic: {
    errors: Anthropic,
    codes: {
      rate_limited: "rate_limited",
      concurrency_limited: "concurrency_limited",
      budget_exceeded: "budget_exceeded",
      forbidden: "forbidden",
    },
    codeOf: (error) => (error as InstanceType<typeof Anthropic.APIError>).errorCode,
    ask: async (url, { apiKey, model, stream }) => {
      const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 2 });
      if (stream) {
        await client.messages.create({ model, messages, max_tokens: 5, stream });
        return undefined;
      }
      const reply = await client.messages.create({ model, messages, max_tokens: 5 });
      return reply.content[0]?.type === "text" ? reply.content[0].text : undefined;
    },
  },
};

const ASKED = { apiKey: "sg-ann", model: "tiny", stream: false };

interface Refused {
  readonly gateway: LimitedGateway;
  readonly limit: ScriptedLimit;
}

/** A gateway that refuses with these faults, and then lets requests in. */
async function refusing(t: TestContext, ...faults: readonly Fault[]): Promise<Refused> {
  const limit = new ScriptedLimit();
  limit.steps.push(...faults.map((fault) => refuses(fault)));
  const gateway = await startLimited(t, { limits: [limit] });
  return { gateway, limit };
}

async function errorOf(asked: Promise<unknown>): Promise<Error> {
  try {
    await asked;
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  return assert.fail("it was answered");
}

for (const [name, sdk] of Object.entries(SDKS)) {
  describe(`the library of ${name}`, () => {
    for (const code of ["rate_limited", "concurrency_limited"] as const) {
      it(`comes back after retry-after-ms when it was ${code}`, async (t) => {
        const { gateway, limit } = await refusing(t, new Fault(code, "later", { retryAfter: 0.15 }));
        const before = performance.now();
        assert.equal(await sdk.ask(gateway.url, ASKED), "hi");
        // The library's own pause is 375 ms or more, and Retry-After would be 1 s.
        const waited = performance.now() - before;
        assert.ok(waited >= 145, `${waited} ms`);
        assert.equal(limit.requests.length, 2);
        assert.equal(gateway.tasks.length, 1);
      });

      for (const stream of [false, true]) {
        it(`raises a RateLimitError with its code in the end: ${code}, ${stream ? "stream" : "whole"}`, async (t) => {
          const fault = new Fault(code, "later", { retryAfter: 0.01 });
          const { gateway, limit } = await refusing(t, fault, fault, fault);
          const error = await errorOf(sdk.ask(gateway.url, { ...ASKED, stream }));
          assert.ok(error instanceof sdk.errors.RateLimitError, error.name);
          assert.equal(sdk.codeOf(error), sdk.codes[code]);
          assert.equal(limit.requests.length, 3);
          assert.deepEqual(gateway.tasks, []);
        });
      }
    }

    it("does not come back for a budget that is used up", async (t) => {
      const { gateway, limit } = await refusing(
        t,
        new Fault("budget_exceeded", "the budget of the month is used up", { retryAfter: 40_000 }),
      );
      const error = await errorOf(sdk.ask(gateway.url, ASKED));
      assert.ok(error instanceof sdk.errors.RateLimitError, error.name);
      assert.equal(sdk.codeOf(error), sdk.codes.budget_exceeded);
      assert.equal(limit.requests.length, 1);
    });

    it("does not come back when the wait is above 60 s", async (t) => {
      const { gateway, limit } = await refusing(t, new Fault("rate_limited", "later", { retryAfter: 60.5 }));
      const error = await errorOf(sdk.ask(gateway.url, ASKED));
      assert.ok(error instanceof sdk.errors.RateLimitError, error.name);
      const { headers } = error as InstanceType<typeof OpenAI.APIError>;
      assert.equal(headers?.get("retry-after"), "61");
      assert.equal(headers?.get("retry-after-ms"), "60500");
      assert.equal(limit.requests.length, 1);
    });

    it("raises a PermissionDeniedError for a request that the key's role forbids", async (t) => {
      const { gateway, limit } = await refusing(t, new Fault("forbidden", "this key only observes"));
      const error = await errorOf(sdk.ask(gateway.url, ASKED));
      assert.ok(error instanceof sdk.errors.PermissionDeniedError, error.name);
      assert.equal(sdk.codeOf(error), sdk.codes.forbidden);
      assert.equal(limit.requests.length, 1);
    });

    for (const [about, apiKey] of [
      ["a wrong key", "sg-unknown"],
      ["a revoked key", "sg-old"],
    ] as const) {
      it(`raises an AuthenticationError for ${about}`, async (t) => {
        const keys = [keyOf("ann"), keyOf("old", { disabled: 1 })];
        const { url } = await startLimited(t, { keys });
        const error = await errorOf(sdk.ask(url, { ...ASKED, apiKey }));
        assert.ok(error instanceof sdk.errors.AuthenticationError, error.name);
      });
    }

    it("raises a NotFoundError for a model that the key may not use", async (t) => {
      const keys = [keyOf("ann", { models: ["tiny"] })];
      const { url, tasks } = await startLimited(t, { keys, cards: [cardOf("tiny"), cardOf("secret")] });
      const error = await errorOf(sdk.ask(url, { ...ASKED, model: "secret" }));
      assert.ok(error instanceof sdk.errors.NotFoundError, error.name);
      assert.deepEqual(tasks, []);
    });
  });
}

async function askOllama(url: string, stream: boolean): Promise<unknown> {
  const client = new Ollama({ host: url, headers: { authorization: "Bearer sg-ann" } });
  const asked = { model: "tiny", messages };
  return stream ? client.chat({ ...asked, stream }) : client.chat({ ...asked, stream });
}

describe("the library of ollama", () => {
  for (const code of ["rate_limited", "concurrency_limited", "budget_exceeded", "forbidden"] as const) {
    for (const stream of [false, true]) {
      it(`raises the sentence of ${code}, and does not come back: ${stream ? "stream" : "whole"}`, async (t) => {
        const { gateway, limit } = await refusing(t, new Fault(code, "not now", { retryAfter: 0.01 }));
        const error = await errorOf(askOllama(gateway.url, stream));
        assert.equal(error.message, "not now");
        assert.equal(
          (error as Error & { status_code: number }).status_code,
          code === "forbidden" ? 403 : 429,
        );
        assert.equal(limit.requests.length, 1);
      });
    }
  }
});

describe("the limits of a key", () => {
  const shown = [
    { limit: "requests", perMinute: 60, remaining: 9, resetMs: 1000 },
    { limit: "inputTokens", perMinute: 6000, remaining: 600, resetMs: 360_000 },
    { limit: "outputTokens", perMinute: 1000, remaining: 500, resetMs: 120 },
  ] as const;

  it("are read with OpenAI's library", async (t) => {
    const { gateway, limit } = await refusing(t);
    limit.shown = shown;
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: "sg-ann" });
    const { response } = await client.chat.completions.create({ model: "tiny", messages }).withResponse();
    assert.equal(response.headers.get("x-ratelimit-remaining-requests"), "9");
    assert.equal(response.headers.get("x-ratelimit-reset-tokens"), "6m0s");
  });

  it("are read with Anthropic's library, also from a refusal", async (t) => {
    const { gateway, limit } = await refusing(t, new Fault("rate_limited", "later", { retryAfter: 61 }));
    limit.shown = shown;
    const client = new Anthropic({ baseURL: gateway.url, apiKey: "sg-ann" });
    const create = () => client.messages.create({ model: "tiny", messages, max_tokens: 5 }).withResponse();
    const error = await errorOf(create());
    const refused = (error as InstanceType<typeof Anthropic.APIError>).headers;
    assert.equal(refused?.get("anthropic-ratelimit-output-tokens-remaining"), "500");
    const { response } = await create();
    const reset = Date.parse(response.headers.get("anthropic-ratelimit-requests-reset") ?? "");
    assert.ok(reset > Date.now() - 60_000 && reset < Date.now() + 60_000);
  });
});
