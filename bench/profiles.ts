/** The models of the simulated backend: the timing of their replies. */

/** Timing of a model's replies. */
export interface Profile {
  readonly model: string;
  /** From the request to the first token, whole ms. */
  readonly firstMs: number;
  /** From token to token, whole ms; 0 writes all tokens at once. */
  readonly gapMs: number;
  /** Tokens of a reply, unless the request says how many (`num_predict`, `max_tokens`). */
  readonly tokens: number;
}

/** Answers at once. */
export const INSTANT: Profile = { model: "sim-instant", firstMs: 0, gapMs: 0, tokens: 8 };
/** The pace of a GPU that serves many: 50 tokens a second. */
export const STREAM: Profile = { model: "sim-stream", firstMs: 50, gapMs: 20, tokens: 100 };
/** The same pace, soon over. */
export const SHORT: Profile = { model: "sim-short", firstMs: 50, gapMs: 20, tokens: 20 };
/** Two hundred lines at once. */
export const BURST: Profile = { model: "sim-burst", firstMs: 0, gapMs: 0, tokens: 200 };
/** First token at once, the end soon after: for the time of the first token. */
export const FIRST: Profile = { model: "sim-first", firstMs: 0, gapMs: 1, tokens: 2 };

/** Long and slow: for what stays open while something else is looked at. */
export const SLOW: Profile = { model: "sim-slow", firstMs: 50, gapMs: 400, tokens: 60 };
/** Thinks for a while before its first token. */
export const PATIENT: Profile = { model: "sim-patient", firstMs: 1200, gapMs: 20, tokens: 20 };
/** A tenth of a second. */
export const BRIEF: Profile = { model: "sim-brief", firstMs: 20, gapMs: 20, tokens: 5 };

/** Tokens per second of the cases with so many open streams, whatever their number. */
const OPEN_RATE = 10_000;

/** The pace at which so many streams make 10,000 tokens a second together, for twenty seconds. */
function sharedPace(streams: number): Profile {
  const gapMs = (streams * 1000) / OPEN_RATE;
  return { model: `sim-gap-${gapMs}`, firstMs: 50, gapMs, tokens: 20_000 / gapMs };
}

/** By the number of open streams: a hundred to ten thousand share the same tokens per second. */
export const OPEN: ReadonlyMap<number, Profile> = new Map(
  [100, 1000, 10_000].map((streams) => [streams, sharedPace(streams)]),
);

/** All models the backend lists. */
export const PROFILES: readonly Profile[] = [
  INSTANT,
  STREAM,
  SHORT,
  BURST,
  FIRST,
  SLOW,
  PATIENT,
  BRIEF,
  ...OPEN.values(),
];

/** Length of one reply in ms, as the backend paces it. */
export function durationMs(profile: Profile): number {
  return profile.firstMs + profile.gapMs * (profile.tokens - 1);
}
