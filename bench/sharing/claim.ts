/** The claims that the sharing bench judges; pure. */
import { alignTable } from "../report.ts";

/** One claim with its measured value. */
export interface Claim {
  readonly text: string;
  readonly value: number;
  readonly least?: number;
  readonly most?: number;
}

export interface MeasureOptions {
  /** A short form. */
  readonly quick: boolean;
  /** Folder of another checkout to compare with; absent: none. */
  readonly base?: string | undefined;
}

/** A part of the bench: `l1` to `l5`, `cost`. */
export interface Part {
  readonly name: string;
  readonly title: string;
  /** Measures and returns its claims. */
  measure(options: MeasureOptions): Promise<readonly Claim[]>;
}

/** True when the value is within its limits. A value that is no number does not hold, unless it has no limit. */
export function holds({ value, least, most }: Claim): boolean {
  if (least === undefined && most === undefined) return true;
  return value >= (least ?? -Infinity) && value <= (most ?? Infinity);
}

/** A row per claim. */
export function renderClaims(parts: readonly (readonly [name: string, claims: readonly Claim[]])[]): string {
  const rows = parts.flatMap(([name, claims]) =>
    claims.map((claim) => [name, claim.text, figure(claim.value), boundsOf(claim), verdictOf(claim)]),
  );
  return alignTable([["part", "claim", "measured", "must be", "verdict"], ...rows]);
}

function verdictOf(claim: Claim): string {
  if (claim.least === undefined && claim.most === undefined) return "-";
  return holds(claim) ? "holds" : "does not hold";
}

function boundsOf({ least, most }: Claim): string {
  if (least === undefined && most === undefined) return "told only";
  if (least === most) return figure(least ?? NaN);
  const from = least === undefined ? [] : [`at least ${figure(least)}`];
  const to = most === undefined ? [] : [`at most ${figure(most)}`];
  return [...from, ...to].join(", ");
}

function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}
