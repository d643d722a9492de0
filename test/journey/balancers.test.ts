import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SETTINGS } from "../../src/config/settings.ts";
import { Balancer, type BalancerName, missing, sampleOf } from "./balancer.ts";
import { Fleet } from "../rig/fleet/fleet.ts";
import { HandFed } from "../rig/backends/hand-fed-server.ts";
import { until } from "../rig/until.ts";

/** The samples of docs/deploy, each before two gateways, with the proxies themselves. */

const NAMES: readonly BalancerName[] = ["haproxy", "nginx", "caddy"];

/** The directives that end a long silence in a sample, and what unit their numbers have. */
const PATIENCE: Readonly<Record<BalancerName, readonly RegExp[]>> = {
  haproxy: [/timeout client (\d+)s/, /timeout server (\d+)s/],
  nginx: [/proxy_read_timeout (\d+)s/, /proxy_send_timeout (\d+)s/, /send_timeout (\d+)s/],
  caddy: [],
};

const CHAT = { model: "tiny", messages: [{ role: "user", content: "hi" }] };
const LIMIT = { timeout: 240_000 };
const MiB = 1024 * 1024;

interface Rig {
  readonly fleet: Fleet;
  readonly server: HandFed;
  readonly balance: (change?: (sample: string) => string) => Promise<Balancer>;
}

// A body that is refused is read to its end up to 32 MiB: no proxy sees the connection reset before the answer.
const MAX_BODY = String(24 * MiB);
const ENV = { SGNET_DRAIN_GRACE_MS: "8000", SGNET_HEARTBEAT_MS: "200", SGNET_MAX_BODY_BYTES: MAX_BODY };

let fleet: Fleet;
let server: HandFed;

before(async () => {
  fleet = await Fleet.start({ gateways: 2, posts: [], env: ENV });
  server = await HandFed.start();
  await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}`, SGNET_SLOTS: "8" });
});
after(async () => {
  await server.stop();
  await fleet.stop();
});

/** Runs a test with the fleet of this file. The proxies of the test are stopped at its end. */
async function withRig(name: BalancerName, run: (rig: Rig) => Promise<void>): Promise<void> {
  const balancers: Balancer[] = [];
  while (fleet.gateways.length < 2) await fleet.addGateway();
  try {
    await fleet.known("tiny");
    const gateways = fleet.gateways.map(({ url }) => url);
    await run({
      fleet,
      server,
      balance: async (change) => {
        const plan = { name, dir: fleet.folder, gateways };
        const balancer = await Balancer.start(change === undefined ? plan : { ...plan, change });
        balancers.push(balancer);
        return balancer;
      },
    });
    await fleet.settled();
  } catch (error) {
    throw new Error(`${String(error)}\n${balancers.map(({ story }) => story).join("\n")}`, { cause: error });
  } finally {
    await Promise.all(balancers.map((balancer) => balancer.stop()));
    server.automatic = undefined;
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of response.setEncoding("utf8")) text += String(piece);
  return text;
}

/** Waits for the piece of a stream that has a text. */
async function sees(response: IncomingMessage, part: string): Promise<void> {
  let text = "";
  while (!text.includes(part)) {
    const piece: unknown = response.read();
    if (Buffer.isBuffer(piece) || typeof piece === "string") text += piece.toString();
    else if (response.readableEnded || response.destroyed) throw new Error(`the stream ended before ${part}`);
    else await news(response);
  }
}

/** Waits until there is more to read, or nothing will come. */
async function news(response: IncomingMessage): Promise<void> {
  const events = ["readable", "end", "close", "error"] as const;
  await new Promise<void>((resolve) => {
    const hear = (): void => {
      for (const event of events) response.off(event, hear);
      resolve();
    };
    for (const event of events) response.on(event, hear);
  });
}

async function feedsTokens({ balance }: Rig): Promise<void> {
  const balancer = await balance();
  assert.equal(await balancer.status("/metrics"), 404, "kept to the inside");
  for (const path of ["/v1/chat/completions", "/api/chat"]) {
    const asked = balancer.post(path, { ...CHAT, stream: true });
    const question = await server.next();
    question.say("token0 ");
    const response = await asked;
    for (let index = 0; index < 20; index++) {
      await sees(response, `token${index}`);
      if (index < 19) question.say(`token${index + 1} `);
    }
    question.finish();
    assert.match(await textOf(response), path === "/api/chat" ? /"done":true/ : /\[DONE\]/);
  }
}

async function passesBodies({ balance }: Rig): Promise<void> {
  const balancer = await balance();
  const content = "x".repeat(20 * MiB);
  const asked = balancer.post("/v1/chat/completions", { ...CHAT, messages: [{ role: "user", content }] });
  const question = await server.next();
  assert.ok(question.body.length > 20 * MiB);
  question.answer("read");
  assert.match(await textOf(await asked), /"content":"read"/);
  const refused = await balancer.post("/v1/chat/completions", Buffer.alloc(28 * MiB, " "));
  assert.equal(refused.resume().statusCode, 413);
}

async function tellsWhoLeft({ balance }: Rig): Promise<void> {
  const balancer = await balance();
  for (const stream of [true, false]) {
    const leave = new AbortController();
    const left = balancer.post("/v1/chat/completions", { ...CHAT, stream }, leave.signal);
    const waiting = await server.next();
    leave.abort();
    await assert.rejects(left);
    await waiting.left;
  }
  const leave = new AbortController();
  const streaming = balancer.post("/api/chat", CHAT, leave.signal);
  const begun = await server.next();
  begun.say("token0");
  await sees(await streaming, "token0");
  leave.abort();
  await begun.left;
}

/** The sample's directives are longer than any answer; and they are the ones: cut to a second, they end a silence. */
async function hasPatience(name: BalancerName, { balance }: Rig): Promise<void> {
  const most = Number(SETTINGS.taskTimeoutMs.default) / 1000;
  for (const pattern of PATIENCE[name]) {
    assert.ok(Number(pattern.exec(sampleOf(name))?.[1]) > most, String(pattern));
  }
  const impatient = await balance((sample) =>
    PATIENCE[name].reduce((text, pattern) => {
      return text.replace(pattern, (directive) => directive.replace(/\d+s/, "1s"));
    }, sample),
  );
  const asked = impatient.post("/v1/chat/completions", { ...CHAT, stream: true });
  const question = await server.next();
  const response = await asked;
  const silent = impatient.post("/v1/chat/completions", CHAT);
  const unheard = await server.next();
  if (PATIENCE[name].length > 0) {
    assert.equal((await silent).resume().statusCode, 504);
    await unheard.left;
  } else {
    unheard.answer("patient");
    assert.equal((await silent).resume().statusCode, 200);
  }
  for (let beats = 0; beats < 8; beats++) await sees(response, ":");
  question.say("late");
  await sees(response, "late");
  question.finish();
  await textOf(response);
}

/** Pause of a client between two requests, ms. Without one the clients would take all processors for 8 s. */
const PAUSE_MS = 20;

/** Four clients send requests while the first of two gateways stops, and a stream goes on. */
async function losesNothing({ balance }: Rig): Promise<void> {
  const balancer = await balance();
  const long = balancer.post("/v1/chat/completions", { ...CHAT, stream: true });
  const held = await server.next();
  held.say("begun");
  const streaming = await long;
  await sees(streaming, "begun");
  server.automatic = (question) => {
    const { stream } = JSON.parse(question.body.toString()) as { stream?: boolean };
    if (stream !== true) return question.answer("whole");
    question.say("streamed");
    question.finish();
  };
  const over = new AbortController();
  let served = 0;
  const client = async (stream: boolean): Promise<void> => {
    while (!over.signal.aborted) {
      const response = await balancer.post("/v1/chat/completions", { ...CHAT, stream });
      const text = await textOf(response);
      assert.equal(response.statusCode, 200, text);
      assert.match(text, stream ? /streamed[^]*\[DONE\]/ : /whole/);
      served += 1;
      await delay(PAUSE_MS);
    }
  };
  const clients = Promise.all([client(true), client(true), client(false), client(false)]);
  const [stopping = assert.fail()] = fleet.gateways;
  stopping.signal("SIGTERM");
  const refusing = until("a gateway that takes no connection", async () => {
    return fetch(`${stopping.url}/healthz`).then(
      () => false,
      () => true,
    );
  });
  // The stream may be at this gateway, which waits for its end.
  const exited = refusing.then(async () => {
    held.finish();
    const code = await stopping.exited;
    over.abort();
    return code;
  });
  const [code] = await Promise.all([exited, clients]);
  assert.equal(code, 0);
  assert.match(await textOf(streaming), /\[DONE\]/);
  assert.ok(served > 20, String(served));
  const later = await balancer.post("/v1/chat/completions", CHAT);
  assert.equal(later.resume().statusCode, 200);
  fleet.gateways.splice(0, 1);
}

for (const name of NAMES) {
  test(`${name} before two gateways`, { ...LIMIT, skip: missing(name) }, async (t) => {
    await withRig(name, async (rig) => {
      await t.test("sends each token on before the next one is made", () => feedsTokens(rig));
      await t.test("passes large bodies, and refuses too large ones", () => passesBodies(rig));
      await t.test("tells that a client has left, before the first token and after it", () =>
        tellsWhoLeft(rig),
      );
      await t.test("has patience with any answer", () => hasPatience(name, rig));
      await t.test("loses no request when a gateway stops", () => losesNothing(rig));
    });
  });
}

const both = missing("nginx") || missing("haproxy");

test("HTTP/1.0 does for a plain nginx and a plain check of haproxy", { ...LIMIT, skip: both }, async () => {
  await withRig("nginx", async ({ balance }) => {
    const plain = await balance((sample) =>
      sample
        .replace(/ +proxy_(?!pass )\w+ [^;]+;\n/g, "")
        .replace("proxy_pass http://gateways;", "proxy_pass http://10.0.0.11:3000;"),
    );
    const asked = plain.post("/v1/chat/completions", { ...CHAT, stream: true });
    const question = await server.next();
    question.say("token0");
    const response = await asked;
    await sees(response, "token0");
    question.say("token1");
    question.finish();
    assert.match(await textOf(response), /token1[^]*\[DONE\]/);
    const socket = join(fleet.folder, "haproxy.sock");
    const haproxy = await Balancer.start({
      name: "haproxy",
      dir: fleet.folder,
      gateways: fleet.gateways.map(({ url }) => url),
      change: (sample) =>
        sample
          .replace("global\n", `global\n    stats socket ${socket}\n`)
          .replace(/ +http-check [^\n]+\n/g, "")
          .replace("option httpchk\n", "option httpchk GET /readyz\n"),
    });
    try {
      for (const gateway of ["gateway1", "gateway2"]) {
        // Before its first check a server counts as up.
        const seen = await until(`a check of ${gateway}`, async () => {
          return new RegExp(`gateways,${gateway},.*,(L\\d\\w+),`).exec(await said(socket, "show stat"))?.[1];
        });
        assert.equal(seen, "L7OK");
      }
    } finally {
      await haproxy.stop();
    }
  });
});

/** The answer of haproxy to a command on its socket. */
async function said(path: string, command: string): Promise<string> {
  const socket = connect(path).setEncoding("utf8");
  socket.end(`${command}\n`);
  let text = "";
  for await (const piece of socket) text += String(piece);
  return text;
}
