import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import Anthropic, { NotFoundError } from "@anthropic-ai/sdk";
import { assert as check, integer, property, stringMatching, uniqueArray } from "fast-check";
import type { ModelCard } from "../../src/core/model.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { buildFallback, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { modelPage, readModelPage } from "../../src/protocols/anthropic/models.ts";
import { serve } from "./http-rig.ts";

const NAMES = ["c", "/models/b b.gguf", "a:latest", "d", "e"];
const CARDS = NAMES.map((name, index) => card(name, index === 0 ? 4096 : 0));
const VERSION = { "anthropic-version": "2023-06-01" };

function card(name: string, contextLength = 0): ModelCard {
  return { key: name, name, ownedBy: "us", modifiedAt: 1000, contextLength } as ModelCard;
}

async function gateway(t: TestContext): Promise<string> {
  const host = {
    catalogue: { models: CARDS, find: (name: string) => (NAMES.includes(name) ? name : undefined) },
    keyring: new Keyring({ apiKeys: "", adminKeys: "" }),
    management: [],
    ui: { routes: [], page: () => {} },
    metrics: {},
  } as unknown as RoutesHost;
  const routes = buildRoutes(host);
  const { port } = await serve(t, { routes, ...buildFallback(routes) });
  return `http://127.0.0.1:${port}`;
}

describe("the models, for a client that says Anthropic's version", () => {
  it("are listed in Anthropic's form", async (t) => {
    const reply = await fetch(`${await gateway(t)}/v1/models?limit=1`, { headers: VERSION });
    assert.equal(reply.status, 200);
    assert.match(reply.headers.get("request-id") ?? "", /./);
    assert.match(reply.headers.get("vary") ?? "", /anthropic-version/i);
    const [first] = NAMES;
    assert.deepEqual(await reply.json(), {
      data: [
        {
          type: "model",
          id: first,
          display_name: first,
          created_at: "1970-01-01T00:00:01.000Z",
          lifecycle: "active",
          deprecated_at: null,
          retires_at: null,
          line: null,
          capabilities: null,
          max_input_tokens: 4096,
          max_tokens: 4096,
        },
      ],
      has_more: true,
      first_id: first,
      last_id: first,
    });
  });

  it("are errors that a cache keeps for one kind of client, too", async (t) => {
    const url = await gateway(t);
    for (const path of ["/v1/models/nope", "/v1/models?limit=0"]) {
      const reply = await fetch(url + path, { headers: VERSION });
      assert.match(reply.headers.get("vary") ?? "", /anthropic-version/i, path);
    }
    const { status, headers } = await fetch(`${url}/v1/models/nope`);
    assert.deepEqual([status, headers.get("vary")], [404, "anthropic-version"]);
  });

  it("come page by page to Anthropic's own client, forwards and backwards", async (t) => {
    const client = new Anthropic({ baseURL: await gateway(t), apiKey: "none" });
    const seen: string[] = [];
    for await (const model of client.models.list({ limit: 2 })) seen.push(model.id);
    assert.deepEqual(seen, NAMES);
    const back: string[] = [];
    for await (const model of client.models.list({ limit: 2, before_id: "e" })) back.push(model.id);
    assert.deepEqual(back, ["a:latest", "d", "c", "/models/b b.gguf"]);
  });

  it("are found one by one, and told as missing in Anthropic's form", async (t) => {
    const client = new Anthropic({ baseURL: await gateway(t), apiKey: "none" });
    const found = await client.models.retrieve("/models/b b.gguf");
    assert.deepEqual([found.type, found.id], ["model", "/models/b b.gguf"]);
    assert.equal(found.max_input_tokens, null);
    await assert.rejects(client.models.retrieve("none"), (error) => {
      assert.ok(error instanceof NotFoundError);
      assert.equal(error.type, "not_found_error");
      return true;
    });
  });

  it("are told by OpenAI's form to all others", async (t) => {
    const reply = await fetch(`${await gateway(t)}/v1/models`);
    assert.equal(((await reply.json()) as { object: string }).object, "list");
    assert.match(reply.headers.get("vary") ?? "", /anthropic-version/i);
  });

  it("paths that are none are told in Anthropic's form too", async (t) => {
    const reply = await fetch(`${await gateway(t)}/v1/files`, { headers: VERSION });
    assert.equal(reply.status, 404);
    assert.equal(((await reply.json()) as { type: string }).type, "error");
  });

  for (const query of ["limit=0", "limit=1001", "limit=x", "limit=", "limit=1.5", "limit=-1"]) {
    it(`a page of ${query} is refused`, async (t) => {
      const reply = await fetch(`${await gateway(t)}/v1/models?${query}`, { headers: VERSION });
      assert.equal(reply.status, 400);
      const { type, error } = (await reply.json()) as { type: string; error: { message: string } };
      assert.equal(type, "error");
      assert.match(error.message, /limit/);
    });
  }
});

describe("pages of models", () => {
  it("hold what is asked for only", () => {
    assert.deepEqual(ids(""), NAMES);
    assert.deepEqual(ids("after_id=a%3Alatest&before_id=e"), ["d"]);
    assert.deepEqual(ids("after_id=a%3Alatest&limit=1"), ["d"]);
    assert.deepEqual(ids("before_id=d&limit=1"), ["a:latest"]);
    assert.deepEqual(ids("lifecycle=retired"), []);
    assert.deepEqual(ids("lifecycle[]=retired&lifecycle[]=active&limit=1"), ["c"]);
  });

  it("end where the model that was last has gone", () => {
    const page = JSON.parse(modelPage(CARDS, readModelPage("after_id=gone"))) as object;
    assert.deepEqual(page, { data: [], has_more: false, first_id: null, last_id: null });
  });

  it("bring every model once, whatever their size and direction", () => {
    const names = uniqueArray(stringMatching(/^[a-z/ ]{1,4}$/), { minLength: 1, maxLength: 12 });
    check(
      property(names, integer({ min: 1, max: 5 }), (all, limit) => {
        const cards = all.map((name) => card(name));
        const pageOf = (where: Record<string, string>): Page => {
          const query = new URLSearchParams({ limit: String(limit), ...where });
          return JSON.parse(modelPage(cards, readModelPage(query.toString()))) as Page;
        };
        let page = pageOf({});
        const forwards = idsOf(page);
        while (page.has_more) {
          page = pageOf({ after_id: page.last_id ?? "" });
          forwards.push(...idsOf(page));
        }
        assert.deepEqual(forwards, all);
        page = pageOf({ before_id: all.at(-1) ?? "" });
        const backwards = idsOf(page);
        while (page.has_more) {
          page = pageOf({ before_id: page.first_id ?? "" });
          backwards.unshift(...idsOf(page));
        }
        assert.deepEqual(backwards, all.slice(0, -1));
      }),
    );
  });
});

function idsOf({ data }: Page): string[] {
  return data.map(({ id }) => id);
}

function ids(query: string): string[] {
  return idsOf(JSON.parse(modelPage(CARDS, readModelPage(query))) as Page);
}

interface Page {
  readonly data: readonly { readonly id: string }[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}
