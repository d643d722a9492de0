/** A duration for people: `12 ms`, `4.1 s`, `3 min`, `2.0 h`. */
export function duration(ms: number): string {
  if (ms < 950) return `${ms < 9.95 && ms % 1 !== 0 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 59_500) return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
  if (ms < 3_570_000) return `${Math.round(ms / 60_000)} min`;
  return `${(ms / 3_600_000).toFixed(1)} h`;
}
