/** A difference between a direct run and one through the gateway that is meant. */
interface Explanation {
  /** In the test's name. */
  readonly test: RegExp;
  /** In what it failed with. */
  readonly reason: RegExp;
  readonly because: string;
}

const EXPLANATIONS: readonly Explanation[] = [
  {
    test: /test_responses\.py.*_create_overload/,
    reason: /input is required/,
    because:
      "the request is `{}`, without a model and without input. OpenAI's own server refuses that with 400 too; a script takes it",
  },
  {
    test: /test_responses\.py.*create_with_all_params/,
    reason: /this server keeps no responses/,
    because:
      "the request goes on with a stored response, a conversation and a stored prompt. A gateway stores none, and without them the model would be asked something else",
  },
  {
    test: /test_completions\.py.*create_with_all_params/,
    reason: /echo is not supported/,
    because:
      "`echo` asks for the prompt in the answer. Ollama and llama.cpp cannot do that, and are not asked to",
  },
  {
    test: /test_embeddings\.py.*(?:strict|aiohttp)/,
    reason: /APIResponseValidationError/,
    because:
      "the SDK asks for base64 by itself, and its strict types take numbers only. The gateway sends what was asked for, as OpenAI does; the vendor's mock and servers such as Ollama send numbers",
  },
];

/** Why a test may fail through the gateway; undefined when nothing says that it may. */
export function explanationOf(test: string, reason: string): string | undefined {
  return EXPLANATIONS.find((one) => one.test.test(test) && one.reason.test(reason))?.because;
}
