import assert from "node:assert/strict";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";

type Dialect = "ollama" | "openai" | "anthropic";

const DIALECTS: readonly Dialect[] = ["ollama", "openai", "anthropic"];
const PATHS = { ollama: "/api/chat", openai: "/v1/chat/completions", anthropic: "/v1/messages" } as const;

interface Wish {
  readonly stream: boolean;
  /** The header; none when absent. */
  readonly timeouts?: string;
}

interface Told {
  readonly dialect: Dialect;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: string;
}

async function ask(gateway: Program, dialect: Dialect, { stream, timeouts }: Wish): Promise<Told> {
  const body = { model: MODEL, max_tokens: 1000, messages: [{ role: "user", content: "hi" }], stream };
  const response = await fetch(gateway.url + PATHS[dialect], {
    method: "POST",
    headers: timeouts === undefined ? {} : { "x-sgnet-timeouts": timeouts },
    body: JSON.stringify({ ...body, options: { num_predict: 1000 } }),
  });
  const retryAfter = response.headers.get("retry-after");
  return { dialect, status: response.status, retryAfter, body: await response.text() };
}

async function askAll(gateway: Program, wish: Wish): Promise<readonly Told[]> {
  return Promise.all(DIALECTS.map((dialect) => ask(gateway, dialect, wish)));
}

/** Each was refused as a whole, in its dialect. */
function assertRefused(told: readonly Told[], status: number, how: { code: string; message: RegExp }): void {
  for (const one of told) {
    assert.equal(one.status, status, one.body);
    const reply = JSON.parse(one.body) as {
      error: string | { message: string; type: string; code?: string };
    };
    const { error } = reply;
    assert.match(typeof error === "string" ? error : error.message, how.message);
    if (one.dialect === "openai") assert.equal(typeof error === "string" ? "" : error.code, how.code);
    if (one.dialect === "anthropic") {
      const type = status === 504 ? "timeout_error" : "overloaded_error";
      assert.equal(typeof error === "string" ? "" : error.type, type);
    }
    assert.equal(one.retryAfter, "1");
  }
}

/** Each stream has begun and ends with an error of its dialect. */
function assertBrokenOff(told: readonly Told[], message: RegExp): void {
  for (const { status, body, dialect } of told) {
    assert.equal(status, 200, body);
    const last = body.trimEnd().split("\n").at(-1) ?? "";
    assert.match(body, /t0 /, `${dialect}: ${body}`);
    assert.match(last, message, dialect);
    assert.doesNotMatch(body, /\[DONE\]|message_stop|"done":true/);
  }
}

async function assertCounted(fleet: Fleet, code: string, count: number): Promise<void> {
  const response = await fetch(`${fleet.gateway.url}/metrics`);
  const lines = (await response.text()).split("\n");
  const counts = lines.filter(
    (line) => line.startsWith("sgnet_tasks_ended_total{") && line.includes(`code="${code}"`),
  );
  assert.equal(
    counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0),
    count,
    code,
  );
}

for (const speaks of ["ollama", "openai"] as const) {
  const plan = { posts: [{ speaks, slots: 3 }] };

  journey(`a backend of ${speaks} that never answers: first token, or the whole`, plan, async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.hangAfter = 0;
    const streams = await askAll(fleet.gateway, { stream: true, timeouts: "first-token=300" });
    assertRefused(streams, 504, {
      code: "first_token_timeout",
      message: /did not begin to answer within 300 ms/,
    });
    await standIn.waitFor("aborted", 3);
    const whole = await askAll(fleet.gateway, { stream: false, timeouts: "first-token=300, total=5000" });
    assertRefused(whole, 504, { code: "deadline_exceeded", message: /not answered in time/ });
    await standIn.waitFor("aborted", 6);
    await assertCounted(fleet, "first_token_timeout", 3);
    await assertCounted(fleet, "deadline_exceeded", 3);
    standIn.behaviour.hangAfter = undefined;
    const later = await askAll(fleet.gateway, { stream: false });
    assert.deepEqual(
      later.map(({ status }) => status),
      [200, 200, 200],
      "the slots are free again",
    );
  });

  journey(`a backend of ${speaks} that falls silent, or drips for ever`, plan, async (fleet) => {
    const { standIn } = fleet.post();
    Object.assign(standIn.behaviour, { tokenMs: 5, hangAfter: 3 });
    const silent = await askAll(fleet.gateway, { stream: true, timeouts: "first-token=60000, idle=300" });
    assertBrokenOff(silent, /fell silent for 300 ms/);
    await standIn.waitFor("aborted", 3);
    await assertCounted(fleet, "idle_timeout", 3);
    Object.assign(standIn.behaviour, { tokenMs: 50, hangAfter: undefined });
    const dripping = await askAll(fleet.gateway, { stream: true, timeouts: "idle=4000, total=6000" });
    assertBrokenOff(dripping, /not answered in time/);
    await standIn.waitFor("aborted", 6);
    await assertCounted(fleet, "deadline_exceeded", 3);
  });
}

journey(
  "one of two backends never begins: the other answers what it was given, too",
  // The fleet's own limit: a client's is its own affair, see blame.test.ts.
  { posts: [{ slots: 3 }, { slots: 3 }], env: { SGNET_FIRST_TOKEN_TIMEOUT_MS: "5000" } },
  async (fleet) => {
    const [hung, well] = [fleet.post(0).standIn, fleet.post(1).standIn];
    hung.behaviour.hangAfter = 0;
    // Long enough to fill its slots, so that the rest goes to the other.
    well.behaviour.firstTokenMs = 200;
    const wish = { stream: true };
    const told = [...(await askAll(fleet.gateway, wish)), ...(await askAll(fleet.gateway, wish))];
    for (const { status, body } of told) {
      assert.equal(status, 200, body);
      assert.match(body, /t999 /);
    }
    assert.equal(well.requests.length, told.length);
    assert.ok(hung.requests.length > 0);
    // The server hears of the last abort a moment after its client has the other's answer.
    await hung.waitFor("aborted", hung.requests.length);
    for (const { outcome } of hung.requests) assert.equal(outcome, "aborted");
  },
);

journey(
  "what waits too long for a worker is answered and never run; what runs is left alone",
  { posts: [{ slots: 1 }] },
  async (fleet) => {
    const { standIn } = fleet.post();
    standIn.behaviour.firstTokenMs = 8000;
    const running = ask(fleet.gateway, "openai", { stream: true, timeouts: "queue=5000" });
    await standIn.waitFor("request");
    const timeouts = "queue=400";
    const told = [
      ...(await askAll(fleet.gateway, { stream: true, timeouts })),
      ...(await askAll(fleet.gateway, { stream: false, timeouts })),
    ];
    assertRefused(told, 503, { code: "queue_timeout", message: /no worker was free/ });
    assert.equal((await running).status, 200);
    await assertCounted(fleet, "queue_timeout", 6);
    assert.equal(standIn.requests.length, 1);
  },
);

journey(
  "a queue without any worker, by the settings of its model",
  { env: { SGNET_MODEL_TIMEOUTS: "other first-token=1; Tiny:latest queue=500" } },
  async (fleet) => {
    await fleet.post().worker.kill();
    const told = await askAll(fleet.gateway, { stream: true, timeouts: "queue=60000" });
    assertRefused(told, 503, { code: "queue_timeout", message: /no worker was free/ });
  },
);

journey("a header of timeouts that cannot be read is refused", {}, async (fleet) => {
  for (const timeouts of ["soon", "first-token", "total=0", "idle=-1", "queue=1.5", "total=9999999999"]) {
    for (const { status, body } of await askAll(fleet.gateway, { stream: true, timeouts })) {
      assert.equal(status, 400, timeouts);
      assert.match(body, /x-sgnet-timeouts must be like/);
    }
  }
  assert.equal(fleet.post().standIn.requests.length, 0);
});
