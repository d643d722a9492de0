/** Token counts of one answer. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens served from a cache; part of promptTokens. */
  readonly cachedTokens?: number;
  readonly reasoningTokens?: number;
}

/** Durations of one answer in nanoseconds, as Ollama's API counts them. */
export interface Timings {
  readonly total?: number;
  readonly load?: number;
  readonly promptEval?: number;
  readonly eval?: number;
}

type Join = (one: number, other: number) => number;

/** How the prompt's tokens of two answers become one number, and those of them that a cache had. */
interface PromptJoin {
  readonly tokens: Join;
  readonly cached: Join;
}

const sum: Join = (one, other) => one + other;
/** A prompt counts once, as the run that found least of it in a cache had it. */
const SAME_PROMPT: PromptJoin = { tokens: Math.max, cached: Math.min };
const OTHER_PROMPT: PromptJoin = { tokens: sum, cached: sum };

/** Adds up the counts of a reply's choices, which may answer several prompts. */
export class UsageTally {
  readonly #perPrompt: number;
  readonly #ofPrompts: (Usage | undefined)[] = [];

  /** @param perPrompt how many choices answer each prompt; absent = all of them answer one */
  constructor(perPrompt: number = Infinity) {
    this.#perPrompt = perPrompt;
  }

  /** @param choice its index, from 0: the choices of the first prompt come first */
  add(usage: Usage | undefined, choice: number): void {
    const prompt = Math.floor(choice / this.#perPrompt);
    this.#ofPrompts[prompt] = joinUsage(this.#ofPrompts[prompt], usage, SAME_PROMPT);
  }

  /** Of all that was added; undefined when nothing is known. */
  get total(): Usage | undefined {
    let total: Usage | undefined;
    for (const usage of this.#ofPrompts) total = joinUsage(total, usage, OTHER_PROMPT);
    return total;
  }
}

/** The counts of two answers together; where one is not known, those of the other. */
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
