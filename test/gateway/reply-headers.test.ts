import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dialectOf } from "../../src/core/task.ts";
import { TASK_ROUTES } from "../../src/protocols/dialects.ts";
import { buildFallback } from "../../src/gateway/routes.ts";
import { cleanRequestId, dialectOfPath, dialectOfRequest } from "../../src/gateway/http/reply-headers.ts";
import { serve } from "./http-rig.ts";

const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

describe("the dialect of a path", () => {
  it("is that of the tasks it takes, with a slash too many as well", () => {
    for (const { path, endpoint } of TASK_ROUTES) {
      assert.equal(dialectOfPath(path), dialectOf(endpoint), path);
      assert.equal(dialectOfPath(`${path}/`), dialectOf(endpoint), path);
    }
  });

  it("is that of its tasks whatever version its client says, as faults of tasks are, too", () => {
    const headers = { anthropicVersion: "2023-06-01" };
    for (const { path, endpoint } of TASK_ROUTES) {
      assert.equal(dialectOfRequest({ path, headers }), dialectOf(endpoint), path);
      assert.equal(dialectOfRequest({ path: `${path}/`, headers }), dialectOf(endpoint), path);
    }
    for (const path of ["/v1/models", "/v1/models/tiny", "/v1/nothing"])
      assert.equal(dialectOfRequest({ path, headers }), "anthropic", path);
  });
});

describe("the id of a request", () => {
  it("is its client's when it is harmless", () => {
    assert.equal(cleanRequestId("chat-1:2/3@x.y+z="), "chat-1:2/3@x.y+z=");
    for (const id of ["", "a b", "a\nb", "ä", "x".repeat(129)]) assert.equal(cleanRequestId(id), undefined);
  });

  const paths: readonly (readonly [path: string, names: readonly string[]])[] = [
    ["/api/nothing", ["x-request-id"]],
    ["/v1/nothing", ["x-request-id"]],
    ["/v1/messages/nothing", ["x-request-id", "request-id"]],
  ];
  for (const [path, names] of paths) {
    it(`is told with a refusal of ${path}, and made where the client has none`, async (t) => {
      const server = await serve(t, { routes: [], ...buildFallback([]) });
      const url = `http://127.0.0.1:${server.port}${path}`;
      const own = await fetch(url, { headers: { "x-request-id": "mine-1" } });
      const made = await fetch(url, { headers: { "x-request-id": "not fine" } });
      for (const name of names) {
        assert.equal(own.headers.get(name), "mine-1");
        assert.match(made.headers.get(name) ?? "", UUID);
      }
      assert.equal(own.headers.has("request-id"), names.includes("request-id"));
    });
  }
});
