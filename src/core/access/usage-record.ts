/** The use of one model by a key. */
export interface UsageCounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Input tokens from a cache, included in inputTokens. */
  readonly cachedTokens: number;
  readonly requests: number;
  /** Requests without an answer, but for those whose client left. */
  readonly errors: number;
}

export type UsageCount = keyof UsageCounts;

/** Names of the counts in Redis. */
export const COUNT_FIELDS: Readonly<Record<UsageCount, string>> = {
  inputTokens: "in",
  outputTokens: "out",
  cachedTokens: "cached",
  requests: "requests",
  errors: "errors",
};

export const USAGE_COUNTS: readonly UsageCount[] = [
  "inputTokens",
  "outputTokens",
  "cachedTokens",
  "requests",
  "errors",
];

/** The counts of one key, model and day. */
export interface UsageRecord extends UsageCounts {
  readonly tenant: string;
  /** Id of the key. */
  readonly key: string;
  /** Model key, or `other`. */
  readonly model: string;
  /** yyyymmdd, UTC. */
  readonly day: string;
}

export const NO_USAGE: UsageCounts = {
  inputTokens: 0,
  outputTokens: 0,
  cachedTokens: 0,
  requests: 0,
  errors: 0,
};

/** A field of the hash in Redis. Key and model may have any characters, so its separator is escaped. */
export function usageField(key: string, model: string, count: UsageCount): string {
  return `${escape(key)}|${escape(model)}|${COUNT_FIELDS[count]}`;
}

/** Reads a field; undefined for one of another version. */
export function readUsageField(
  field: string,
): { readonly key: string; readonly model: string; readonly count: UsageCount } | undefined {
  const [key, model, name, ...more] = field.split("|");
  const count = USAGE_COUNTS.find((one) => COUNT_FIELDS[one] === name);
  if (key === undefined || model === undefined || count === undefined || more.length > 0) return undefined;
  return { key: unescape(key), model: unescape(model), count };
}

/** Sums two counts. */
export function addUsage(one: UsageCounts, other: UsageCounts): UsageCounts {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    cachedTokens: one.cachedTokens + other.cachedTokens,
    requests: one.requests + other.requests,
    errors: one.errors + other.errors,
  };
}

function escape(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("|", "%7c");
}

function unescape(text: string): string {
  return text.replaceAll("%7c", "|").replaceAll("%25", "%");
}
