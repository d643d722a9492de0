/** Bursty arrivals as public services had them: `test/fixtures/traces`. */
import { readFileSync } from "node:fs";

/** One request of a trace. */
export interface TraceRow {
  readonly service: string;
  /** Since the first of its service. */
  readonly ms: number;
  readonly promptTokens: number;
  readonly answerTokens: number;
}

const FILE = new URL("../../test/fixtures/traces/cut.csv", import.meta.url);

/** All requests of the cut. Throws an Error on a line that is none. */
export function readTrace(): readonly TraceRow[] {
  const [, ...lines] = readFileSync(FILE, "utf8").trimEnd().split("\n");
  return lines.map(rowOf);
}

function rowOf(line: string): TraceRow {
  const [service = "", ...numbers] = line.split(",");
  const [ms, promptTokens, answerTokens] = numbers.map(Number);
  if (ms === undefined || promptTokens === undefined || answerTokens === undefined) {
    throw new Error(`not a line of a trace: ${line}`);
  }
  return { service, ms, promptTokens, answerTokens };
}
