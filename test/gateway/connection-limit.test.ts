import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  automaticConnections,
  ConnectionLimit,
  refuseTooMany,
} from "../../src/gateway/http/connection-limit.ts";
import type { HttpReply, HttpRequest } from "../../src/gateway/http/http.ts";
import { until } from "../rig/until.ts";
import { RawClient, serve } from "./http-rig.ts";

function ask(client: RawClient | undefined, path: string): void {
  client?.socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`);
}

describe("connections of clients", () => {
  it("above the bound get 503 with a time to come back, and are closed; probes are answered", async (t) => {
    const count = new ConnectionLimit(8);
    const refused: string[] = [];
    const tooMany = refuseTooMany((code) => void refused.push(code));
    const server = await serve(t, {
      connections: count,
      tooManyConnections: tooMany,
      fallback: (_request, reply) => reply.send(200, [], "served"),
    });
    const clients: RawClient[] = [];
    for (let open = 1; open <= 9; open += 1) {
      clients.push(new RawClient(t, server.port));
      await until("a connection", () => count.open === open);
    }
    const [first, second] = clients;
    ask(second, "/healthz");
    await until("an answer", () => second?.text.includes("served") === true);
    ask(first, "/v1/models");
    await until("a refusal", () => first?.text.includes("maximum connections exceeded") === true);
    assert.match(first?.text ?? "", /^HTTP\/1\.1 503 [^]*retry-after: 5\r\n/i);
    await until("the end", () => first?.socket.closed === true && count.open === 8);
    assert.deepEqual(refused, ["too_many_connections"]);
    ask(clients.at(-1), "/v1/models");
    await until("room again", () => clients.at(-1)?.text.includes("served") === true);
  });

  it("too many are answered where probes ask, not where the gateway tells of itself at length", () => {
    const turnsAway = refuseTooMany(() => {});
    const isRefused = (path: string): boolean =>
      turnsAway({ path } as HttpRequest, {} as HttpReply) !== undefined;
    for (const path of ["/health", "/v1/health", "/ping", "/readyz/", "/metrics/fleet"]) {
      assert.equal(isRefused(path), false, path);
    }
    for (const path of ["/openapi.json", "/version", "/v1/models", "/health/x", "//health"]) {
      assert.equal(isRefused(path), true, path);
    }
  });

  it("far above the bound are closed unheard, and counted down", async (t) => {
    const count = new ConnectionLimit(4);
    const server = await serve(t, { connections: count, tooManyConnections: refuseTooMany(() => {}) });
    const clients = Array.from({ length: 40 }, () => new RawClient(t, server.port));
    await until("only few", () => clients.filter(({ socket }) => socket.closed).length >= 35);
    assert.ok(count.open <= 5);
    for (const { socket } of clients) socket.destroy();
    await until("none", () => count.open === 0);
  });

  it("leave the process files enough to accept more, and to close those: else it does nothing but try", async (t) => {
    let cuts = 0;
    const count = new ConnectionLimit(1000, () => (cuts += 1), 8);
    const server = await serve(t, { connections: count, tooManyConnections: refuseTooMany(() => {}) });
    const clients = Array.from({ length: 20 }, () => new RawClient(t, server.port));
    await until("all but six", () => clients.filter(({ socket }) => socket.closed).length === 14);
    assert.deepEqual([cuts, count.open], [14, 6]);
  });

  it("may be four fifths of the files that the process may open", () => {
    assert.equal(automaticConnections(1000), 800);
    assert.equal(automaticConnections(Infinity), 50_000);
  });
});
