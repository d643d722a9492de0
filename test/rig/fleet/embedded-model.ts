import type { TestContext } from "node:test";
import { type Fleet, journey } from "./fleet.ts";

/** The model that a worker runs by itself where it finds no LLM server. */
export const EMBEDDED_MODEL = "smollm2:135m";

/** The weights, and what else it needs, are fetched on the first run of all. */
const FIRST_RUN_MS = 600_000;

/** A journey with the embedded model; left out on a machine that runs an LLM server. */
export function embeddedJourney(name: string, run: (fleet: Fleet, t: TestContext) => Promise<void>): void {
  journey(name, { posts: [], limitMs: FIRST_RUN_MS }, async (fleet, t) => {
    const worker = await fleet.addBareWorker({ SGNET_BACKENDS: "", SGNET_EMBEDDED_MODEL: "" });
    if (!worker.story.includes(EMBEDDED_MODEL)) {
      t.skip("this machine runs an LLM server, which is taken in place of the embedded model");
      return;
    }
    await fleet.known(EMBEDDED_MODEL);
    await run(fleet, t);
  });
}
