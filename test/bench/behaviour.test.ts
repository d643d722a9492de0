import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { renderFindings } from "../../bench/behaviour/behaviour.ts";
import { Probe, outcomes } from "../../bench/behaviour/probe.ts";
import { BRIEF, PATIENT, SHORT, SLOW } from "../../bench/profiles.ts";
import type { Profile } from "../../bench/profiles.ts";
import { askRedis } from "../../bench/redis-wire.ts";
import type { SimReport } from "../../bench/sim-log.ts";
import { simServer } from "../../bench/sim-server.ts";
import { until } from "../rig/until.ts";

async function listening(server: net.Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

async function desk(port: number, rules?: object): Promise<SimReport> {
  const post = rules === undefined ? {} : { method: "POST", body: JSON.stringify(rules) };
  const response = await fetch(`http://127.0.0.1:${port}/sim/log`, {
    ...post,
    headers: { connection: "close" },
  });
  return (await response.json()) as SimReport;
}

function ask(port: number, profile: Profile, tag: string, stream = true): Probe {
  return new Probe({ port, dialect: "ollama", profile, stream, tag });
}

/** A server that answers everything with the same bytes and hangs up. */
async function answering(bytes: string): Promise<{ readonly server: net.Server; readonly port: number }> {
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(bytes));
  });
  return { server, port: await listening(server) };
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

test("the simulated server refuses requests beyond its slots, and its log has each arrival, end and departure", async () => {
  const server = simServer();
  const port = await listening(server);
  try {
    await desk(port, { slots: 2 });
    const [first, second] = [ask(port, SLOW, "first"), ask(port, SLOW, "second")];
    await until("two visits", async () => (await desk(port)).running === 2);
    assert.equal(await ask(port, BRIEF, "third").done, "status 503");
    const times = [first.leave(), second.leave()];
    await until("an empty desk", async () => (await desk(port)).running === 0);
    times.push(performance.timeOrigin + performance.now());
    assert.equal(await ask(port, BRIEF, "late").done, "answered");
    const { visits, most, refused } = await desk(port);
    assert.deepEqual([most, refused], [2, 1]);
    assert.deepEqual(
      visits.map(({ tag, ended, left }) => [tag, ended !== undefined, left !== undefined]),
      [
        ["first", false, true],
        ["second", false, true],
        ["late", true, false],
      ],
    );
    const [, leftAt = assert.fail(), seenAt = assert.fail()] = times;
    const told = visits[1]?.left ?? 0;
    // The clock of the wall may be corrected by some ms meanwhile.
    assert.ok(told > leftAt - 50 && told < seenAt + 50, `${leftAt} ${told} ${seenAt}`);
    await desk(port, { status: 500 });
    assert.equal(await ask(port, BRIEF, "fourth").done, "status 500");
  } finally {
    server.close();
  }
});

test("waits longer than the ring of the timer are kept; a whole answer takes as long as its stream", async () => {
  const server = simServer();
  const port = await listening(server);
  try {
    const begin = performance.now();
    const probe = ask(port, PATIENT, "patient");
    await probe.begun;
    assert.ok(performance.now() - begin >= PATIENT.firstMs - 2);
    assert.equal(await probe.done, "answered");
    // On a loaded machine some take longer; hardly all of them.
    const tries: number[] = [];
    while (tries.length < 10 && !tries.some((took) => took < 1400)) {
      const askedAt = performance.now();
      assert.equal(await ask(port, SHORT, "whole", false).done, "answered");
      tries.push(performance.now() - askedAt);
    }
    const least = Math.min(...tries);
    assert.ok(least >= 428 && least < 1400, tries.join(" "));
  } finally {
    server.close();
  }
});

test("a probe tells how a reply ended", async () => {
  const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const cases: readonly (readonly [string, string])[] = [
    [`${head}${chunk("~0 ")}`, "broken connection"],
    [`${head}${chunk("~0 ")}${chunk('{"error":"gone"}')}${chunk("")}`, "error in the stream"],
    [`${head}${chunk("~0 ")}${chunk("")}`, "cut, looks complete"],
    [`${head}${chunk("~1 ")}${chunk("")}`, "wrong tokens"],
    ["HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\n{}", "status 502"],
    ["nonsense\r\n\r\n", "broken connection"],
  ];
  for (const [bytes, outcome] of cases) {
    const { server, port } = await answering(bytes);
    assert.equal(await ask(port, BRIEF, "x").done, outcome);
    server.close();
  }
});

test("outcomes are counted, and what is still open at the limit has no end", async () => {
  const silent = net.createServer((socket) => socket.on("error", () => socket.destroy()).resume());
  const { server, port } = await answering("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}");
  const silentPort = await listening(silent);
  const probes = [ask(port, BRIEF, "a"), ask(silentPort, BRIEF, "b"), ask(port, BRIEF, "c")];
  await Promise.all([probes[0]?.done, probes[2]?.done]);
  assert.equal(await outcomes(probes, 10), "2 status 500, 1 no end");
  server.close();
  silent.close();
});

test("Redis' answers are read as they come, and its errors are errors", async () => {
  const pieces = [[":42\r\n"], ["$5\r", "\nhe", "llo\r\n"], ["+PONG\r\n"], ["-ERR no\r\n"], ["*1\r\n:1\r\n"]];
  const server = net.createServer((socket) => {
    socket.once("data", () => {
      for (const piece of pieces.shift() ?? []) socket.write(piece);
    });
  });
  const port = await listening(server);
  assert.equal(await askRedis(port, "XLEN", "q"), "42");
  assert.equal(await askRedis(port, "GET", "x"), "hello");
  assert.equal(await askRedis(port, "PING"), "PONG");
  await assert.rejects(askRedis(port, "NO"), /ERR no/);
  await assert.rejects(askRedis(port, "KEYS", "*"), /unexpected type/);
  server.close();
});

test("findings stand side by side, a dash where a way has none", () => {
  const table = renderFindings(
    ["floor", "gateway"],
    [
      { case: "M5", figure: "ms", leg: "floor", text: "1" },
      { case: "M5", figure: "ms", leg: "gateway", text: "2" },
      { case: "M5", figure: "queued", leg: "gateway", text: "3" },
    ],
  );
  const rows = table.split("\n").map((line) => line.split("|").map((cell) => cell.trim()));
  assert.deepEqual(rows[2]?.slice(1, -1), ["M5", "ms", "1", "2"]);
  assert.deepEqual(rows[3]?.slice(1, -1), ["", "queued", "–", "3"]);
});
