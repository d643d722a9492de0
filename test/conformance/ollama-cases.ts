import type { Difference, LeftOut } from "./replay.ts";

/** Ollama's recordings that are about what a gateway does not have. */
export const OLLAMA_LEFT_OUT: readonly LeftOut[] = [
  {
    cases: ["161", "162", "163", "164"],
    why: "the account and services of Ollama's cloud: there is no cloud behind a fleet",
  },
  { cases: ["255"], why: "the profiler of Ollama's own process" },
];

/** Also in what is said of a server that is full. */
export const OPENAI_CODES: Difference = {
  what: /^error error\.code null > string$/,
  why: "OpenAI's own codes, e.g. model_not_found, on which its clients switch",
};

/** Where the gateway does not do as Ollama does, and why. */
export const OLLAMA_DIFFERENCES: readonly Difference[] = [
  {
    what: /^(?:status 301 > 200|type text\/html > |header location|order {2}> object)/,
    cases: ["008"],
    why: "a slash too many is served at once: some clients do not follow redirects",
  },
  {
    what: /^(?:status 307 > 200|header location|type {2}> application\/json|order {2}> last)/,
    cases: ["009"],
    why: "the redirect is the work of Ollama's router, not of a model: a slash too many is served at once, as some clients lose the body on a redirect; the answer is that of the path without it (093)",
  },
  {
    what: /^(?:type text\/plain > application\/json|order {2}> error)$/,
    cases: ["012", "013", "016", "018", "224", "239", "240"],
    why: "wrong paths and methods below /v1 are told in OpenAI's form, as OpenAI itself does",
  },
  {
    what: /^status 405 > 200$/,
    cases: ["019"],
    why: "HEAD is answered wherever GET is, as HTTP has it",
  },
  {
    what: /^status 400 > 415$/,
    cases: ["237", "238"],
    why: "a body of another type than a form is told by the status for that",
  },
  {
    what: /^status 404 > 501$/,
    cases: ["239"],
    why: "images are made where a backend can; the model is known, and no backend of it can",
  },
  {
    what: /^(?:object|response\.completed) \+ (?:response\.)?usage\.input_tokens_details\.cache_write_tokens$/,
    why: "required by OpenAI's specification",
  },
  {
    what: /^object \+ stargazer$/,
    why: "the version tells which gateway this is, beside the version of the API",
  },
  {
    what: /^status 500 > 400$/,
    cases: ["060", "064", "067", "068", "116"],
    why: "a mistake of the client's is 400, where Ollama blames itself",
  },
  {
    what: /^status 403 > 404$/,
    cases: ["089"],
    why: "without a cloud its models are unknown, not forbidden",
  },
  {
    what: /^status 500 > 404$/,
    cases: ["159"],
    why: "a model to push that no server has is unknown, where Ollama tells of a missing file",
  },
  {
    what: /^object \+ models\[\]/,
    cases: ["043"],
    why: "the stand-in has a model in memory all the time",
  },
  OPENAI_CODES,
  {
    what: /^object \+ choices\[\]\.(?:message\.refusal|logprobs)$/,
    why: "required by OpenAI's specification",
  },
  {
    what: /^(?:status 200 > 413|order object > error)$/,
    cases: ["252"],
    why: "a question about a model has at most 64 KiB: it is read on the event loop, and no client needs more",
  },
  { what: /\+ choices\[\]\.logprobs\.refusal$/, why: "required by OpenAI's specification" },
  {
    what: /^(?:text|finish) \+ choices\[\]\.logprobs$/,
    cases: ["205", "209", "327"],
    why: "required by OpenAI's specification of text completions",
  },
  {
    what: /^(?:text|finish|call) \+ usage$/,
    cases: ["173", "174", "303"],
    why: "OpenAI's specification: all chunks say `usage: null` when the last one tells it",
  },
  {
    what: /^(?:text|finish) (?:usage object > null|- usage\.)/,
    cases: ["205"],
    why: "OpenAI's specification: null, where Ollama says zeros",
  },
  {
    what: /^told finish load > stop$/,
    cases: ["209"],
    why: "OpenAI's specification knows no such end: it is `stop`",
  },
  {
    what: /\.reasoning_content$/,
    cases: ["179", "180"],
    why: "clients made for DeepSeek, vLLM or llama.cpp read this name, clients of Ollama `reasoning`",
  },
  {
    what: /^told completion 8 > 16$/,
    cases: ["201"],
    why: "n is what was asked for, where Ollama answers once and does not tell",
  },
  {
    what: /^(?:status 404 > 200|type text\/plain > application\/json|order {2}> object)$/,
    cases: ["169", "170"],
    why: "ids with slashes are found: those of OpenAI-compatible servers have them",
  },
  {
    what: /^(?:status 404 > 200|type text\/plain > application\/json|order {2}> object)$/,
    cases: ["235"],
    why: "tokens are counted: Anthropic's own API has this endpoint and agents use it",
  },
  {
    what: /\+ (?:message\.)?usage\.cache_(?:creation|read)_input_tokens$/,
    why: "required by Anthropic's specification",
  },
  {
    what: /\+ (?:message\.|delta\.)?stop_(?:sequence|reason)$/,
    why: "required by Anthropic's specification",
  },
  {
    what: /\+ content_block\.signature$/,
    cases: ["228"],
    why: "required by Anthropic's specification",
  },
  {
    what: /^order .*response\.reasoning_summary_part\.added/,
    cases: ["220"],
    why: "OpenAI's specification: its library throws without the events of the summary's part",
  },
  {
    what: /^response\.function_call_arguments\.done \+ name$/,
    cases: ["305"],
    why: "required by OpenAI's specification",
  },
  {
    what: /^order (.+) > \1 error$/,
    cases: ["323", "325", "326", "327"],
    why: "a broken answer ends with an error; Ollama's /v1 streams just end",
  },
];
