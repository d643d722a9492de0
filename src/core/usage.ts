/** Token counts of one answer. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens served from a cache, included in promptTokens. */
  readonly cachedTokens?: number;
  readonly reasoningTokens?: number;
}

/** Durations of one answer in ns, as in Ollama's API. */
export interface Timings {
  readonly total?: number;
  readonly load?: number;
  readonly promptEval?: number;
  readonly eval?: number;
}

type Join = (one: number, other: number) => number;

/** Joins the prompt counts of two answers: all tokens, and cached tokens. */
interface PromptJoin {
  readonly tokens: Join;
  readonly cached: Join;
}

const sum: Join = (one, other) => one + other;
/** A shared prompt counts once, with the fewest cached tokens of all runs. */
const SAME_PROMPT: PromptJoin = { tokens: Math.max, cached: Math.min };
const OTHER_PROMPT: PromptJoin = { tokens: sum, cached: sum };

/** Sums the counts of a reply's choices, which may answer several prompts. */
export class UsageTally {
  readonly #perPrompt: number;
  readonly #ofPrompts: (Usage | undefined)[] = [];

  /** @param perPrompt choices for each prompt; absent: all belong to one prompt */
  constructor(perPrompt: number = Infinity) {
    this.#perPrompt = perPrompt;
  }

  /** @param choice index from 0; choices of the first prompt come first */
  add(usage: Usage | undefined, choice: number): void {
    const prompt = Math.floor(choice / this.#perPrompt);
    this.#ofPrompts[prompt] = joinUsage(this.#ofPrompts[prompt], usage, SAME_PROMPT);
  }

  /** The sum of all counts; undefined when none is known. */
  get total(): Usage | undefined {
    let total: Usage | undefined;
    for (const usage of this.#ofPrompts) total = joinUsage(total, usage, OTHER_PROMPT);
    return total;
  }
}

/** Joins the counts of two answers. Where one is unknown, the other counts. */
function joinUsage(one: Usage | undefined, other: Usage | undefined, prompt: PromptJoin): Usage | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const cached = joined(one.cachedTokens, other.cachedTokens, prompt.cached);
  const reasoning = joined(one.reasoningTokens, other.reasoningTokens, sum);
  return {
    promptTokens: prompt.tokens(one.promptTokens, other.promptTokens),
    completionTokens: one.completionTokens + other.completionTokens,
    ...(cached === undefined ? {} : { cachedTokens: cached }),
    ...(reasoning === undefined ? {} : { reasoningTokens: reasoning }),
  };
}

function joined(one: number | undefined, other: number | undefined, join: Join): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : join(one, other);
}
