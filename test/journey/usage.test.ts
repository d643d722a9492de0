import assert from "node:assert/strict";
import { usageSum } from "../../src/core/access/usage-table.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { openStores } from "../../src/redis/stores.ts";
import type { UsageReport } from "../../src/redis/access/usage-report.ts";
import { runCommand } from "../rig/command.ts";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

/** The key of the environment. It goes on working beside keys with records. */
const ROOT = "root";

function headersOf(secret: string): Record<string, string> {
  return { authorization: `Bearer ${secret}` };
}

async function ask(gateway: Program, secret: string, stream = false): Promise<Response> {
  const body = { model: MODEL, max_tokens: 6, stream, messages: [{ role: "user", content: "hello" }] };
  const headers = headersOf(secret);
  return fetch(`${gateway.url}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify(body) });
}

async function usageAt(gateway: Program, query = ""): Promise<UsageReport> {
  const response = await fetch(`${gateway.url}/admin/usage${query}`, { headers: headersOf(ROOT) });
  assert.equal(response.status, 200);
  return (await response.json()) as UsageReport;
}

function administration(fleet: Fleet): KeyAdministration {
  return new KeyAdministration(openStores(fleet.probe, fleet.keys).access, Date.now);
}

/** A key that the gateways know. */
async function knownKey(fleet: Fleet, fields: Record<string, string | number>): Promise<string> {
  const { secret } = await administration(fleet).create(fields);
  for (const { url } of fleet.gateways) {
    const lists = async (headers: Record<string, string>): Promise<number> =>
      (await fetch(`${url}/v1/models`, { headers })).status;
    // A gateway that knows no key yet serves everyone.
    await until("the key", async () => (await lists({})) === 401 && (await lists(headersOf(secret))) === 200);
  }
  return secret;
}

function sumOf({ total }: UsageReport): number {
  return total.inputTokens + total.outputTokens;
}

const ENV = { SGNET_ADMIN_KEY: ROOT };

journey(
  "usage is counted by key and model, and told by API, command and metrics",
  { env: ENV },
  async (fleet) => {
    const { gateway } = fleet;
    assert.equal((await ask(gateway, ROOT)).status, 200);
    const secret = await knownKey(fleet, { name: "=laptop", tenant: "lab" });
    let tokens = 0;
    for (let n = 0; n < 3; n += 1) {
      const answer = (await (await ask(gateway, secret)).json()) as { usage: { total_tokens: number } };
      tokens += answer.usage.total_tokens;
    }
    await (await ask(gateway, ROOT)).text();
    await until("all is told", async () => (await usageAt(gateway)).total.requests >= 4);
    const lab = await usageAt(gateway, "?tenant=lab&by=tenant,key,model,day");
    assert.equal(sumOf(lab), tokens);
    assert.deepEqual(
      lab.rows.map(({ tenant, keyName, model, requests, errors }) => [
        tenant,
        keyName,
        model,
        requests,
        errors,
      ]),
      [["lab", "=laptop", MODEL, 3, 0]],
    );
    // Before any record nothing was counted: one request of the key of the environment is left.
    const env = await usageAt(gateway, "?tenant=env&by=key");
    assert.deepEqual(
      env.rows.map(({ key, requests }) => [key, requests]),
      [["env-admin-1", 1]],
    );
    assert.deepEqual(
      lab.budgets.map(({ today, month }) => [today, month]),
      [
        [tokens, tokens],
        [tokens, tokens],
      ],
    );

    const csv = await fetch(`${gateway.url}/admin/usage?by=key`, {
      headers: { ...headersOf(ROOT), accept: "text/csv" },
    });
    assert.match(csv.headers.get("content-type") ?? "", /^text\/csv/);
    assert.match(await csv.text(), /^key,key_name,input_tokens.*\r\n.*"'=laptop",/s);
    const here = { cwd: fleet.folder, env: { REDIS_URL: fleet.redisUrl } };
    const printed = await runCommand(["usage", "--key", "=laptop", "--json"], here);
    assert.equal(sumOf(JSON.parse(printed.stdout) as UsageReport), tokens);
    assert.match((await runCommand(["usage", "--by", "model", "--csv"], here)).stdout, /^model,input_tokens/);
    assert.match(
      (await runCommand(["usage"], here)).stdout,
      /Usage, \d{4}-\d\d-\d\d \(UTC\), tokens\n[^]*=laptop[^]*Budgets/,
    );
    for (const [args, says] of [
      [["--by", "shoe"], /comma list of tenant, key, model and day/],
      [["--from", "2026-02-30"], /'2026-02-30' is no day/],
      [["--from", "today", "--to", "yesterday"], /first day is later/],
      [["--csv", "--json"], /exclude each other/],
    ] as const) {
      const refused = await runCommand(["usage", ...args], here);
      assert.match(refused.stderr + refused.stdout, says);
    }

    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    assert.match(metrics, /sgnet_tenant_requests_total\{tenant="lab",code="ok"\} 3/);
    assert.match(metrics, /sgnet_tenant_tokens_total\{tenant="lab",type="output"\} [1-9]/);
    for (const [path, headers, status] of [
      ["", headersOf(secret), 403],
      ["?by=shoe", headersOf(ROOT), 400],
      ["?sort=up", headersOf(ROOT), 400],
      ["?format=xml", headersOf(ROOT), 400],
    ] as const) {
      assert.equal((await fetch(`${gateway.url}/admin/usage${path}`, { headers })).status, status, path);
    }
  },
);

journey(
  "a client that leaves in the middle pays for what it got, and a drain loses nothing",
  { env: ENV },
  async (fleet) => {
    const { gateway } = fleet;
    const { standIn } = fleet.post();
    const secret = await knownKey(fleet, { name: "laptop", tenant: "lab" });
    standIn.behaviour.tokenMs = 20;
    const leaving = new AbortController();
    const body = {
      model: MODEL,
      max_tokens: 2000,
      stream: true,
      messages: [{ role: "user", content: "hello" }],
    };
    const streamed = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: headersOf(secret),
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    let got = 0;
    for await (const piece of streamed.body ?? []) {
      got += (piece as Uint8Array).length;
      if (got > 2000) break;
    }
    leaving.abort();
    await standIn.waitFor("aborted");
    standIn.behaviour.tokenMs = 0;
    assert.equal((await ask(gateway, secret)).status, 200);
    gateway.signal("SIGTERM");
    await gateway.exited;
    const store = openStores(fleet.probe, fleet.keys).usage;
    const day = new Date(await store.now()).toISOString().slice(0, 10).replaceAll("-", "");
    const records = await store.usageOn("lab", day);
    const used = usageSum(records);
    assert.deepEqual([used.requests, used.errors], [2, 0], JSON.stringify(records));
    assert.ok(used.outputTokens > 6 + 5, JSON.stringify(records));
    assert.ok(used.inputTokens > 0);
  },
);

journey(
  "a hard budget refuses, with the time of its end; another one warns",
  { env: ENV, gateways: 2 },
  async (fleet) => {
    const hard = await knownKey(fleet, { name: "hard", tenant: "lab", budgetDay: 60 });
    const warn = await knownKey(fleet, { name: "warn", tenant: "lab", budgetMonth: 20, budget: "warn" });
    let refused: Response | undefined;
    for (let n = 0; refused === undefined; n += 1) {
      assert.ok(n < 100, "it ends");
      const answer = await ask(fleet.gateways[n % 2] ?? fleet.gateway, hard);
      const { status } = answer;
      if (status === 429 && Number(answer.headers.get("retry-after")) > 60) refused = answer;
      else await answer.text();
    }
    const wait = Number(refused.headers.get("retry-after"));
    assert.ok(wait > 0 && wait <= 86_400, String(wait));
    assert.match(await refused.text(), /budget_exceeded|insufficient_quota/);
    let header: string | null = null;
    await until("a warning", async () => {
      const answer = await ask(fleet.gateway, warn);
      assert.equal(answer.status, 200);
      await answer.text();
      header = answer.headers.get("x-sgnet-warning");
      return header !== null;
    });
    assert.match(String(header), /^budget-exceeded; of=key; period=month; used=\d+; budget=20$/);
    const lines = fleet.gateway.lines.filter((line) => line.includes("a budget is used"));
    assert.equal(lines.filter((line) => line.includes("warn")).length >= 1, true);
    const metrics = await (await fetch(`${fleet.gateway.url}/metrics`)).text();
    assert.match(metrics, /sgnet_budget_used_ratio\{tenant="lab",period="day"\} [1-9]/);
    assert.match(metrics, /sgnet_tenant_refusals_total\{tenant="lab",code="budget_exceeded"\} [1-9]/);
  },
);
