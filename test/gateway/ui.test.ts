import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";
import { Keyring } from "../../src/gateway/http/keyring.ts";
import { buildGuard } from "../../src/gateway/http/guard.ts";
import { OriginPolicy } from "../../src/gateway/http/origin-policy.ts";
import { buildFallback, buildRoutes } from "../../src/gateway/routes.ts";
import type { RoutesHost } from "../../src/gateway/routes.ts";
import { asksForPage, openUi } from "../../src/gateway/live-page.ts";
import { serve } from "./http-rig.ts";

const FILES = readdirSync(join(import.meta.dirname, "../../src/gateway/ui"));
const BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/** A gateway's front with nothing behind it. */
async function front(t: TestContext, apiKeys = ""): Promise<string> {
  const ui = openUi((_request, reply) => reply.send(200, [], "events"));
  const routes = buildRoutes({ management: [], ui } as unknown as RoutesHost);
  const origins = new OriginPolicy({ origins: "", listen: "127.0.0.1", own: [] });
  const guard = buildGuard({
    origins,
    keyring: new Keyring({ apiKeys, adminKeys: "" }),
    isPublic: asksForPage,
    onRefused: () => {},
  });
  const server = await serve(t, { routes, ...buildFallback(routes), guard });
  return `http://127.0.0.1:${server.port}`;
}

describe("the root", () => {
  const asked: readonly (readonly [who: string, method: string, accept: string, page: boolean])[] = [
    ["a browser", "GET", BROWSER, true],
    ["curl", "GET", "*/*", false],
    ["an Ollama client", "GET", "application/json", false],
    ["a client that looks whether Ollama is there", "HEAD", BROWSER, false],
  ];
  for (const [who, method, accept, page] of asked) {
    it(`is ${page ? "the live page" : "Ollama's text"} for ${who}`, async (t) => {
      const reply = await fetch(`${await front(t)}/`, { method, headers: { accept } });
      assert.equal(reply.status, 200);
      const type = page ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
      assert.equal(reply.headers.get("content-type"), type);
      assert.equal(reply.headers.get("vary"), "Accept");
      const text = await reply.text();
      if (page) assert.match(text, /^<!doctype html>/);
      else if (method === "GET") assert.equal(text, "Ollama is running");
    });
  }
});

describe("the files of the live page", () => {
  it("are all served, with a policy that lets in nothing from elsewhere", async (t) => {
    const url = await front(t);
    assert.ok(FILES.length >= 3);
    for (const file of FILES) {
      const reply = await fetch(`${url}/ui${file === "page.html" ? "" : `/${file}`}`);
      assert.equal(reply.status, 200, file);
      const policy = reply.headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'/);
      assert.doesNotMatch(policy, /unsafe|http/);
      const text = await reply.text();
      const outside = text
        .replaceAll("http://www.w3.org/2000/svg", "")
        .match(/(?:https?:)?\/\/[a-z][\w.-]+\.[a-z]+/g);
      assert.equal(outside, null, `${file} names ${String(outside)}`);
    }
  });

  it("name only elements that the page has, each once", () => {
    const folder = join(import.meta.dirname, "../../src/gateway/ui");
    const page = readFileSync(join(folder, "page.html"), "utf8");
    const ids = Array.from(page.matchAll(/\sid="([^"]+)"/g), ([, id = ""]) => id);
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    );
    const scripts = FILES.filter((file) => file.endsWith(".js"));
    const named = scripts.flatMap((file) => {
      const code = readFileSync(join(folder, file), "utf8");
      return Array.from(
        code.matchAll(/\b(?:find|fill|fillTable|setTextOf|recordForm)\("([\w-]+)"/g),
        ([, id = ""]) => id,
      );
    });
    assert.ok(named.length > 20);
    assert.deepEqual(
      named.filter((id) => !ids.includes(id)),
      [],
    );
    const labelled = Array.from(page.matchAll(/(?:for|aria-labelledby)="([^"]+)"/g), ([, id = ""]) => id);
    assert.deepEqual(
      labelled.filter((id) => !ids.includes(id)),
      [],
    );
  });

  it("have no inline script and no inline style", async (t) => {
    const text = await (await fetch(`${await front(t)}/ui`)).text();
    assert.doesNotMatch(text, /<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/);
  });

  it("need no key, while their events do", async (t) => {
    const url = await front(t, "secret");
    const headers = { accept: BROWSER };
    assert.equal((await fetch(`${url}/`, { headers })).status, 200);
    assert.equal((await fetch(`${url}/`)).status, 401);
    assert.equal((await fetch(`${url}/ui/page.js`)).status, 200);
    assert.equal((await fetch(`${url}/ui/`)).status, 200);
    assert.equal((await fetch(`${url}/ui/events`, { headers })).status, 401);
    const key = { authorization: "Bearer secret" };
    assert.equal((await fetch(`${url}/ui/events`, { headers: key })).status, 200);
  });
});
