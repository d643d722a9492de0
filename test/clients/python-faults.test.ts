import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type Fleet, journey, MODEL } from "../rig/fleet/fleet.ts";
import { until } from "../rig/until.ts";
import { standInText } from "../rig/backends/stand-in.ts";
import {
  type Breakage,
  breakagesFor,
  BUSY,
  busyWays,
  CALM,
  IMPATIENT,
  type Kind,
  triesOf,
  waysOf,
} from "./broken-backends.ts";
import { PYTHON_NAMES, type PythonCall, PythonClients, sharedPythonClients } from "./python-clients.ts";

/** A broken answer is an error for every client library of Python's, never a success. */

/** Undefined when the test is skipped, as there are no libraries. */
async function clientsFor(t: TestContext): Promise<PythonClients | undefined> {
  const clients = await sharedPythonClients();
  if (clients instanceof PythonClients) return clients;
  t.skip(clients);
  return undefined;
}

interface Trial {
  readonly fleet: Fleet;
  readonly kind: Kind;
  readonly clients: PythonClients;
  readonly client: string;
  readonly stream: boolean;
}

function callOf({ fleet, client, stream }: Trial, tokens: number): PythonCall {
  return { client, url: fleet.gateway.url, stream, tokens, model: MODEL, prompt: "hello" };
}

async function assertRaises(trial: Trial, breakage: Breakage): Promise<void> {
  const { behaviour } = trial.fleet.post().standIn;
  Object.assign(behaviour, breakage.behave(trial.kind));
  const { text, error } = await trial.clients.ask(callOf(trial, 20));
  assert.notEqual(error, null, `no error, but ${JSON.stringify(text)}`);
  // Tokens that come in one piece with the error may be lost, none may be made up.
  assert.ok(standInText(trial.stream ? breakage.tokens : 0).startsWith(text), text);
  Object.assign(behaviour, CALM);
}

async function assertAnswers(trial: Trial): Promise<void> {
  const outcome = await trial.clients.ask(callOf(trial, 5));
  assert.deepEqual(outcome, { text: standInText(5), error: null, status: null });
}

/** The backend tells two tokens and no more; the client leaves, and the backend is told so. */
async function assertLeaves(trial: Trial): Promise<void> {
  const { standIn } = trial.fleet.post();
  Object.assign(standIn.behaviour, { hangAfter: 2 });
  const before = standIn.requests.length;
  const { text, error } = await trial.clients.ask({ ...callOf(trial, 20), leave: standInText(2) });
  Object.assign(standIn.behaviour, CALM);
  assert.deepEqual([text, error], [standInText(2), "Left: left"]);
  // A worker may have sent its backend an own request in between, to find the cause of a failure.
  await until("the backend to know", () =>
    standIn.requests.slice(before).some(({ outcome }) => outcome === "aborted"),
  );
}

for (const kind of ["ollama", "openai"] as const) {
  journey(
    `broken answers of a backend that speaks ${kind}, told to Python`,
    { posts: [{ speaks: kind }], limitMs: 300_000 },
    async (fleet, t) => {
      const clients = await clientsFor(t);
      if (clients === undefined) return;
      for (const client of clients.names) {
        for (const stream of waysOf(client)) {
          const trial = { fleet, kind, clients, client, stream };
          const way = `${client}, ${stream ? "stream" : "whole"}`;
          await t.test(`${way}: is answered`, () => assertAnswers(trial));
          for (const breakage of breakagesFor(stream)) {
            await t.test(`${way}: ${breakage.name}`, () => assertRaises(trial, breakage));
          }
          await t.test(`${way}: is answered after all that`, () => assertAnswers(trial));
        }
        const trial = { fleet, kind, clients, client, stream: true };
        await t.test(`${client}: hangs until the client leaves`, () => assertLeaves(trial));
      }
    },
  );
}

/** All at once, each with a model of its own: they wait side by side. */
const BUSY_WAYS = busyWays(PYTHON_NAMES);

for (const kind of ["ollama", "openai"] as const) {
  const models = [MODEL, ...BUSY_WAYS.map(({ model }) => model)].map((name) => `${name}:latest`);
  journey(
    `a busy backend that speaks ${kind}, told to Python`,
    { posts: [{ speaks: kind, models, slots: BUSY_WAYS.length }], env: IMPATIENT, limitMs: 300_000 },
    async (fleet, t) => {
      const clients = await clientsFor(t);
      if (clients === undefined) return;
      const { standIn } = fleet.post();
      const { url } = fleet.gateway;
      const calls = BUSY_WAYS.map((way) => ({ ...way, url, tokens: 5, prompt: "hello" }));
      assert.deepEqual(clients.names, PYTHON_NAMES);
      Object.assign(standIn.behaviour, BUSY);
      for (const [index, { text, error, status }] of (await clients.askAll(calls)).entries()) {
        const { client, stream, model } = BUSY_WAYS[index] ?? assert.fail();
        await t.test(`${client}, ${stream ? "stream" : "whole"}`, () => {
          assert.notEqual(error, null, `no error, but ${JSON.stringify(text)}`);
          assert.deepEqual([text, status], ["", 503]);
          assert.equal(triesOf(standIn, model), Number(IMPATIENT.SGNET_BUSY_LIMIT));
        });
      }
      Object.assign(standIn.behaviour, CALM);
      const answered = { text: standInText(5), error: null, status: null };
      assert.deepEqual(
        await clients.askAll(calls),
        calls.map(() => answered),
      );
    },
  );
}
