import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Transcript } from "../rig/transcript.ts";
import { differences, type Reply } from "./compare.ts";
import { recordedReply } from "./ask.ts";

/** A way in which the gateway answers otherwise on purpose. */
export interface Difference {
  /** Matches one or more differences as `differences` spells them. */
  readonly what: RegExp;
  /** Numbers of the cases, each of which must show it; without them any case may, and one must. */
  readonly cases?: readonly string[];
  readonly why: string;
}

/** Recordings that are not replayed. */
export interface LeftOut {
  readonly cases: readonly string[];
  readonly why: string;
}

export interface ReplayPlan {
  readonly recordings: readonly Transcript[];
  readonly leftOut: readonly LeftOut[];
  readonly deliberate: readonly Difference[];
  /** Sends a recorded request to the gateway. */
  readonly ask: (transcript: Transcript) => Promise<Reply>;
}

/**
 * Replays recordings, one after the other, a test each. A difference that no entry explains fails its case; an entry
 * that explains nothing any more fails at the end.
 */
export async function replay(t: TestContext, plan: ReplayPlan): Promise<void> {
  const { recordings, leftOut, deliberate } = plan;
  const skipped = new Set(leftOut.flatMap(({ cases }) => cases));
  const replayed = recordings.filter(({ name }) => !skipped.has(numberOf(name)));
  const seen = new Map<Difference, Set<string>>(deliberate.map((entry) => [entry, new Set()]));
  let failed = 0;
  let explainedCases = 0;
  for (const transcript of replayed) {
    await t.test(transcript.name, async () => {
      failed += 1;
      const found = differences(await plan.ask(transcript), recordedReply(transcript));
      const number = numberOf(transcript.name);
      const unexplained = found.filter((what) => !explain({ what, number }, seen));
      assert.deepEqual(unexplained, []);
      failed -= 1;
      if (found.length > 0) explainedCases += 1;
    });
  }
  t.diagnostic(
    `recorded ${recordings.length}, replayed ${replayed.length}, passed ${replayed.length - failed} ` +
      `(${explainedCases} with deliberate differences), deliberate differences ${deliberate.length}, ` +
      `left out ${recordings.length - replayed.length}`,
  );
  await t.test("every listed difference still exists, every case left out is recorded", () => {
    assert.deepEqual(goneOf(seen), []);
    const known = new Set(recordings.map(({ name }) => numberOf(name)));
    assert.deepEqual(
      [...skipped].filter((number) => !known.has(number)),
      [],
    );
  });
}

function numberOf(name: string): string {
  return name.slice(0, 3);
}

function explain(
  { what, number }: { readonly what: string; readonly number: string },
  seen: ReadonlyMap<Difference, Set<string>>,
): boolean {
  const entries = [...seen].filter(([{ cases }]) => cases === undefined || cases.includes(number));
  const [, numbers] = entries.find(([entry]) => entry.what.test(what)) ?? [];
  numbers?.add(number);
  return numbers !== undefined;
}

function goneOf(seen: ReadonlyMap<Difference, ReadonlySet<string>>): string[] {
  return [...seen].flatMap(([{ what, cases }, numbers]) => {
    if (cases === undefined) return numbers.size === 0 ? [`${String(what)}: nowhere`] : [];
    return cases
      .filter((number) => !numbers.has(number))
      .map((number) => `${String(what)}: not in ${number}`);
  });
}
