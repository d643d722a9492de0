import assert from "node:assert/strict";
import test from "node:test";
import { DASHBOARDS } from "../../grafana/source/files.ts";
import { KeyAdministration } from "../../src/redis/access/key-administration.ts";
import { openStores } from "../../src/redis/stores.ts";
import { Fleet, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { needs, promtool } from "./installed.ts";
import { Prometheus } from "./prometheus.ts";
import { metricsIn, readRules } from "./rules.ts";

/** Light, endless load of every kind until it is told to stop: answers, streams, refusals, clients that leave. */
class Load {
  readonly #fleet: Fleet;
  readonly #stop = new AbortController();
  readonly #users: Promise<void>[];

  /** @param keys one that reaches no limit, and one that does */
  constructor(fleet: Fleet, keys: { readonly free: string; readonly limited: string }) {
    this.#fleet = fleet;
    const ask = async (url: string, body: object): Promise<void> => askWith(keys.free, url, body);
    this.#users = fleet.gateways.flatMap(({ url }) => [
      this.#user(async () => askWith(keys.limited, `${url}/api/chat`, {})),
      this.#user(async () => askWith("wrong", `${url}/api/chat`, {})),
      this.#user(async () => ask(`${url}/api/chat`, { stream: true })),
      this.#user(async () =>
        ask(`${url}/v1/chat/completions`, { stream: true, stream_options: { include_usage: true } }),
      ),
      this.#user(async () => ask(`${url}/v1/chat/completions`, {})),
      this.#user(async () => leave(keys.free, `${url}/api/chat`)),
      this.#user(async () => ask(`${url}/api/chat`, { model: "unknown" })),
    ]);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#users);
  }

  async #user(act: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // The outcome of a request does not matter here.
      await act().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, THINK_MS)); // paces the load; no test waits by it
    }
  }

  /** One of the backends breaks off for one request. */
  async breakOff(): Promise<void> {
    const { behaviour } = this.#fleet.post(1).standIn;
    behaviour.dieAfter = 1;
    await until("a broken attempt", async () => {
      const page = await (await fetch(`${this.#fleet.gateway.url}/metrics/fleet`)).text();
      return /^sgnet_worker_attempts_ended_total\{.*code="backend_lost"/m.test(page);
    });
    behaviour.dieAfter = undefined;
  }
}

/** Between two requests of a user. */
const THINK_MS = 100;

const MESSAGES = [{ role: "user", content: "hi" }];

async function askWith(key: string, url: string, body: object): Promise<void> {
  const request = { model: MODEL, messages: MESSAGES, ...body };
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(request),
  });
  await response.text();
}

/** Asks, and hangs up at the first byte. */
async function leave(key: string, url: string): Promise<void> {
  const body = JSON.stringify({ model: MODEL, messages: MESSAGES });
  const response = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${key}` }, body });
  await response.body?.cancel();
}

/** Makes two keys of one tenant. One has a budget, the other a rate that is used up at once. */
async function issueKeys({ probe, keys, gateways }: Fleet): Promise<{ free: string; limited: string }> {
  const admin = new KeyAdministration(openStores(probe, keys).access, Date.now);
  const free = await admin.create({ name: "free", tenant: "lab", rpm: 100_000, budgetDay: 1_000_000_000 });
  const limited = await admin.create({ name: "limited", tenant: "lab", rpm: 1 });
  for (const { url } of gateways) {
    await until(
      "a gateway that asks for a key",
      async () => (await fetch(`${url}/v1/models`)).status === 401,
    );
  }
  return { free: free.secret, limited: limited.secret };
}

/** As Grafana fills it in. */
function filled(expr: string): string {
  return expr.replaceAll("$__rate_interval", "15s").replaceAll(/\$(?:model|host|tenant)\b/g, ".*");
}

/** Queries without a value in a healthy fleet: limits that are not set, and counts of trouble. */
const MAY_BE_EMPTY = new Set([
  "limit",
  "{{host}} requeued, {{reason}}",
  "{{host}} {{backend}} swaps",
  "{{host}} {{backend}} waited",
  "{{host}} {{backend}} {{answer}}",
  "sgnet_swaps_total",
  "sgnet_tasks_redelivered_total",
]);

/** The queries of all panels, and the series every rule reads. */
function allQueries(): { readonly at: string; readonly name: string; readonly expr: string }[] {
  const panels = DASHBOARDS.flatMap(({ title, rows }) =>
    rows.flatMap((row) =>
      row.panels.flatMap((panel) =>
        panel.queries.map(({ expr, legend }) => ({
          at: `${title}, ${panel.title}`,
          name: legend,
          expr: filled(expr),
        })),
      ),
    ),
  );
  const rules = readRules();
  const read = rules.flatMap(({ name, text }) =>
    Array.from(metricsIn(text), (metric) => ({ at: name, name: metric, expr: metric })),
  );
  const recorded = rules.filter(({ kind }) => kind === "record");
  return [...panels, ...read, ...recorded.map(({ name }) => ({ at: "recorded", name, expr: name }))];
}

test(
  "every query of every dashboard and rule finds something in a real Prometheus beside a fleet at work",
  needs("prometheus", "promtool"),
  async (t) => {
    const posts = [1, 2].map(() => ({ slots: 1, tokens: 8, tokenMs: 10, firstTokenMs: 30, loadMs: 600 }));
    const fleet = await Fleet.start({ gateways: 2, posts });
    const load = new Load(fleet, await issueKeys(fleet));
    const prometheus = await Prometheus.start(fleet.gateways.map(({ url }) => url));
    try {
      await load.breakOff();
      const queries = allQueries();
      for (const { at, name, expr } of queries) {
        if (MAY_BE_EMPTY.has(name)) await prometheus.query(expr);
        else await until(`${at}: ${expr}`, async () => (await prometheus.query(expr)).length > 0);
      }
      const rules = await until("evaluated rules", async () => {
        const all = await prometheus.rules();
        return all.every(({ health }) => health !== "unknown") && all;
      });
      assert.deepEqual(
        rules.filter(({ health }) => health !== "ok"),
        [],
      );
      assert.equal(rules.length, readRules().length);
      for (const path of ["/metrics", "/metrics/fleet"]) {
        const page = await (await fetch(`${fleet.gateway.url}${path}`)).text();
        assert.equal(promtool(["check", "metrics"], page), "", path);
      }
      t.diagnostic(`${queries.length} queries, ${rules.length} rules`);
    } finally {
      await load.stop();
      await prometheus.stop();
      await fleet.stop();
    }
  },
);
