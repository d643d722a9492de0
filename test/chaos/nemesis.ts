import { setTimeout as delay } from "node:timers/promises";
import type { Dice } from "./dice.ts";
import { type FaultName, FAULTS, targetsOf } from "./faults.ts";
import type { Disturbance } from "./history.ts";
import type { World } from "./world.ts";

interface Blow {
  readonly fault: FaultName;
  readonly target: number;
  readonly holdMs: number;
}

/** The faults of one time, and the calm before them. */
interface Round {
  readonly calmMs: number;
  readonly blows: readonly Blow[];
}

/** Breaks one thing after the other, sometimes several at once, as its dice say. Every fault has its turn. */
export class Nemesis {
  readonly disturbances: Disturbance[] = [];
  readonly #world: World;
  readonly #dice: Dice;
  readonly #faults: readonly FaultName[];
  readonly #tell: (text: string) => void;
  #deck: FaultName[] = [];

  constructor(options: {
    world: World;
    dice: Dice;
    /** The faults to choose from. */
    faults: readonly FaultName[];
    tell: (text: string) => void;
  }) {
    this.#world = options.world;
    this.#dice = options.dice;
    this.#faults = options.faults;
    this.#tell = options.tell;
  }

  /** Resolves after so many ms, when everything is mended. */
  async rage(ms: number): Promise<void> {
    const end = performance.now() + ms;
    while (performance.now() < end) {
      const { calmMs, blows } = this.#nextRound();
      await delay(Math.min(calmMs, Math.max(0, end - performance.now())));
      await Promise.all(blows.map((blow) => this.#strike(blow)));
    }
  }

  #nextRound(): Round {
    const dice = this.#dice;
    const calmMs = dice.between(0, 2000);
    const count = dice.pick([1, 1, 1, 2, 2, 3]);
    const blows: Blow[] = [];
    const concerned = new Set<string>();
    for (let n = 0; n < count; n += 1) {
      const fault = this.#draw();
      const target = dice.between(0, targetsOf(fault) - 1);
      const [low, high] = FAULTS[fault].hold;
      const holdMs = dice.between(low, high);
      const party = `${FAULTS[fault].party} ${target}`;
      if (!concerned.has(party)) blows.push({ fault, target, holdMs });
      concerned.add(party);
    }
    return { calmMs, blows };
  }

  #draw(): FaultName {
    if (this.#deck.length === 0) this.#deck = this.#dice.shuffled(this.#faults);
    const fault = this.#deck.pop();
    if (fault === undefined) throw new Error("no fault to choose from");
    return fault;
  }

  async #strike({ fault, target, holdMs }: Blow): Promise<void> {
    const stage = { world: this.#world, target, holdMs, dice: this.#dice.fork() };
    await FAULTS[fault].ready?.(stage);
    const from = performance.now();
    this.#tell(`${fault} ${target} for ${holdMs} ms`);
    await FAULTS[fault].run(stage);
    this.disturbances.push({ fault, target, from, to: performance.now() });
  }
}
