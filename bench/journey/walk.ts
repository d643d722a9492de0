/** Follows one streamed request through a gateway and a worker, and lists the functions that it passes. */
import http from "node:http";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { Calls, Inspector } from "./inspector.ts";
import { MODEL } from "./stepped-backend.ts";
import type { SteppedBackend } from "./stepped-backend.ts";

/** Parts of a request's way, in their order. */
export const STEPS = ["down", "first", "token", "end"] as const;
export type Step = (typeof STEPS)[number];

/** Functions of each step, with their process: `gateway: gateway/requests/intake.ts: takeRequest`. */
export type Steps = Readonly<Record<Step, ReadonlySet<string>>>;

export interface Walk {
  /** All functions that are called. */
  readonly called: Steps;
  /** Functions through which the request or a token is handed on; the others are their helpers. */
  readonly handing: Steps;
}

export interface Fleet {
  readonly port: number;
  readonly backend: SteppedBackend;
  readonly processes: Readonly<Record<string, Inspector>>;
}

/** Tokens that are sent: a function called once for each of them is on a token's way. */
const TOKENS = 10;

/** Work that follows a step is over after this time, ms. */
const SETTLE_MS = 60;

/** Requests that are followed: functions that only some of them pass are the work of a timer. */
const WALKS = 4;

/** Growth of the pause between walks (ms): with equal pauses a timer can fall into the same step of each walk. */
const STAGGER_MS = 170;

/** The folder from which bytes go to clients. */
const CLIENT_PORT = /^gateway\/http[/.-]/;

/** @param path a chat endpoint of OpenAI, Ollama or Anthropic: the body is right for each */
export async function walk(fleet: Fleet, path: string): Promise<Walk> {
  await walkOnce(fleet, path, calledFunctions); // loads what is loaded on demand
  const called = await common(() => walkOnce(fleet, path, calledFunctions), STAGGER_MS);
  for (const inspector of Object.values(fleet.processes)) await inspector.watchHandOvers(CLIENT_PORT);
  const stacks = await common(() => walkOnce(fleet, path, stackFunctions), 0);
  const onWay = (step: Step): ReadonlySet<string> => stacks[step].intersection(called[step]);
  return { called, handing: eachStep(onWay) };
}

function eachStep<T>(of: (step: Step) => T): Record<Step, T> {
  return { down: of("down"), first: of("first"), token: of("token"), end: of("end") };
}

/** @param stagger growth of the pause between two walks (ms) */
async function common(walkAgain: () => Promise<Steps>, stagger: number): Promise<Steps> {
  const walks: Steps[] = [];
  for (let count = 0; count < WALKS; count += 1) {
    await delay(count * stagger);
    walks.push(await walkAgain());
  }
  return eachStep((step) => walks.map((its) => its[step]).reduce((one, other) => one.intersection(other)));
}

/** Names of what one process did since it was last asked. */
type Taker = (role: string, inspector: Inspector, step: Step) => Promise<ReadonlySet<string>>;

async function calledFunctions(role: string, inspector: Inspector, step: Step): Promise<ReadonlySet<string>> {
  return namesOf(role, await inspector.takeCalls(), step === "token" ? TOKENS : 1);
}

/** On its way down a request only comes from the front end. */
async function stackFunctions(role: string, inspector: Inspector, step: Step): Promise<ReadonlySet<string>> {
  return new Set([...inspector.takeStacks(step !== "down")].map((name) => `${role}: ${name}`));
}

async function walkOnce({ port, backend, processes }: Fleet, path: string, taker: Taker): Promise<Steps> {
  const take = async (step: Step): Promise<ReadonlySet<string>> => {
    await delay(SETTLE_MS);
    const names = await Promise.all(
      Object.entries(processes).map(([role, inspector]) => taker(role, inspector, step)),
    );
    return names.reduce<ReadonlySet<string>>((one, other) => one.union(other), new Set());
  };
  await take("end"); // the end of an earlier walk
  const asked = backend.asked();
  const replied = post(port, path);
  await asked;
  const down = await take("down");
  backend.token();
  const reply = await replied;
  await once(reply, "data");
  const first = await take("first");
  for (let count = 0; count < TOKENS; count += 1) {
    const came = once(reply, "data");
    backend.token();
    await came;
    await delay(SETTLE_MS);
  }
  const token = await take("token");
  const ended = once(reply, "end");
  backend.end();
  await ended;
  return { down, first, token, end: await take("end") };
}

async function post(port: number, path: string): Promise<http.IncomingMessage> {
  const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01" };
  const request = http.request({ port, path, host: "127.0.0.1", method: "POST", headers });
  const messages = [{ role: "user", content: "Hello" }];
  request.end(JSON.stringify({ model: MODEL, stream: true, max_tokens: 64, messages }));
  const [reply] = (await once(request, "response")) as [http.IncomingMessage];
  return reply;
}

function namesOf(role: string, calls: Calls, least: number): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [file, functions] of calls) {
    for (const [name, count] of functions) if (count >= least) names.add(`${role}: ${file}: ${name}`);
  }
  return names;
}
