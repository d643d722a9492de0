import { Agent } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { ask } from "./ask.ts";
import type { Dice } from "./dice.ts";
import { type Asked, type ClientKey, DIALECTS, type Wish } from "./history.ts";
import type { World } from "./world.ts";

/** The kind of a client. It never changes. */
type Role = "reader" | "leaver" | "slow" | "heavy";

const ROLES: readonly Role[] = ["reader", "reader", "reader", "leaver", "heavy", "reader", "leaver"];

/** A client that was turned away waits so long before it asks again, ms. */
const BACKOFF_MS = 150;

/** Clients that ask one thing after the other until they are stopped. */
export class Clients {
  readonly asked: Asked[] = [];
  readonly #world: World;
  readonly #keys: readonly ClientKey[];
  readonly #open = new Set<Asked>();
  #stopped = false;
  #loops: Promise<void>[] = [];

  /** @param keys those of the clients, in turn; none where no key is needed */
  constructor(world: World, keys: readonly ClientKey[] = []) {
    this.#world = world;
    this.#keys = keys;
  }

  /** Requests that have not ended. */
  get open(): readonly Asked[] {
    return [...this.#open];
  }

  start(count: number, dice: Dice): void {
    this.#loops = Array.from({ length: count }, (_, index) => {
      const role = index === 0 ? "slow" : (ROLES[index % ROLES.length] ?? "reader");
      return this.#loop({ index, role, dice: dice.fork() });
    });
  }

  /** No new request is made; resolves when all have ended, with true, or after `limitMs`, with false. */
  async stop(limitMs: number): Promise<boolean> {
    this.#stopped = true;
    const giveUp = new AbortController();
    const ended = Promise.all(this.#loops).then(() => true);
    const late = delay(limitMs, false, { signal: giveUp.signal });
    const inTime = await Promise.race([ended, late]);
    giveUp.abort();
    late.catch(() => undefined);
    return inTime;
  }

  async #loop(client: { index: number; role: Role; dice: Dice }): Promise<void> {
    const { index, role, dice } = client;
    const agent = dice.chance(0.5) ? new Agent({ keepAlive: true, maxSockets: 1 }) : false;
    for (let n = 0; !this.#stopped; n += 1) {
      const asked = await this.#askOnce(wishOf(`c${index}-${n}`, role, dice), { index, dice, agent });
      if (asked.ending !== "complete" && asked.ending !== "left") await delay(BACKOFF_MS);
    }
    if (agent !== false) agent.destroy();
  }

  async #askOnce(wish: Wish, by: { index: number; dice: Dice; agent: Agent | false }): Promise<Asked> {
    const up = this.#world.gateways.filter(({ program }) => program?.alive === true);
    const gateway = up.length === 0 ? undefined : by.dice.pick(up);
    const key = this.#keys[by.index % Math.max(1, this.#keys.length)];
    const asked: Asked = {
      wish,
      ...(key === undefined ? {} : { key }),
      seat: gateway === undefined ? 0 : this.#world.gateways.indexOf(gateway),
      sentAt: performance.now(),
      reused: false,
      status: 0,
      firstTokenAt: undefined,
      tokens: 0,
      deviation: undefined,
      ending: undefined,
      endedAt: Number.POSITIVE_INFINITY,
      detail: "",
      code: undefined,
    };
    if (gateway?.program === undefined) return { ...asked, ending: "unreachable" };
    this.asked.push(asked);
    this.#open.add(asked);
    await ask(asked, gateway.program.url, by.agent);
    this.#open.delete(asked);
    return asked;
  }
}

function wishOf(id: string, role: Role, dice: Dice): Wish {
  const wish: Wish = {
    id,
    dialect: dice.pick(DIALECTS),
    stream: dice.chance(0.65),
    tokens: dice.between(1, 60),
    firstTokenMs: dice.pick([0, 0, 20, 100, 400]),
    tokenMs: dice.pick([0, 5, 15, 30]),
    padding: 0,
    ballast: 0,
    readPauseMs: 0,
  };
  if (role === "leaver" && dice.chance(0.7)) {
    const leave = { tokens: dice.between(1, 40), ms: dice.pick([30, 100, 300, 1000, 5000]) };
    return { ...wish, tokens: 2500, tokenMs: 20, leave };
  }
  if (role === "heavy" && dice.chance(0.2)) return { ...wish, ballast: 200_000 };
  if (role === "slow")
    return { ...wish, stream: true, tokens: 1200, tokenMs: 1, padding: 4000, readPauseMs: 15 };
  return wish;
}
