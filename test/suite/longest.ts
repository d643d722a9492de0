/** The files that take longest, beginning with the longest. `npm test` tells the slowest ten of a run. */
export const LONGEST: readonly string[] = [];
