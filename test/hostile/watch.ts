import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import type { Program } from "../rig/fleet/program.ts";
import { until } from "../rig/until.ts";

/** An honest client that asks again and again while others do harm. */
export class HonestClient {
  readonly #url: string;
  readonly #done: Promise<void>;
  #over = false;
  #asked = 0;
  /** Longest wait for an answer, ms. */
  longestMs = 0;

  constructor(gateway: Program) {
    this.#url = `${gateway.url}/api/chat`;
    this.#done = this.#ask();
    // Told when it is stopped.
    this.#done.catch(() => {});
  }

  /** Rejects when any question was not answered. */
  async stop(): Promise<void> {
    this.#over = true;
    await this.#done;
    assert.ok(this.#asked > 0);
  }

  async #ask(): Promise<void> {
    const body = JSON.stringify({
      model: "tiny",
      stream: false,
      messages: [{ role: "user", content: "hi" }],
    });
    while (!this.#over) {
      const startedAt = performance.now();
      const response = await fetch(this.#url, { method: "POST", body });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      assert.match(text, /t0 t1 t2 t3 /);
      this.longestMs = Math.max(this.longestMs, performance.now() - startedAt);
      this.#asked += 1;
    }
  }
}

/** Resources that a process holds on Linux. */
interface Held {
  readonly rss: number;
  readonly descriptors: number;
}

async function heldBy({ pid }: Program): Promise<Held> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const rss = 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
  return { rss, descriptors: (await readdir(`/proc/${pid}/fd`)).length };
}

const MIB = 1024 * 1024;

/**
 * Runs `harm` while an honest client sends requests. Checks that the programs live and that the client always gets its
 * answer. Afterwards no program may hold more than some sockets and `mostMiB` of memory. Returns a line about it.
 */
export async function whileHarmed(
  gateway: Program,
  { programs, mostMiB, harm }: { programs: readonly Program[]; mostMiB: number; harm: () => Promise<void> },
): Promise<string> {
  const before = await Promise.all(programs.map(heldBy));
  const client = new HonestClient(gateway);
  try {
    await harm();
  } finally {
    await client.stop();
  }
  const lines = await Promise.all(
    programs.map(async (program, index) => {
      assert.ok(program.alive, program.story.slice(-2000));
      assert.ok(!/uncaught|unhandled/i.test(program.story), program.story.slice(-2000));
      const then = before[index] ?? { rss: 0, descriptors: 0 };
      await until(`${program.command} without the sockets of others`, async () => {
        return (await heldBy(program)).descriptors <= then.descriptors + 20;
      });
      const grown = ((await heldBy(program)).rss - then.rss) / MIB;
      assert.ok(grown < mostMiB, `${program.command} holds ${grown.toFixed(0)} MiB more`);
      return `${program.command} +${grown.toFixed(0)} MiB`;
    }),
  );
  return `${lines.join(", ")}; longest wait of the honest client ${client.longestMs.toFixed(0)} ms`;
}
