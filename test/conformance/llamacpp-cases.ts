import type { Difference, LeftOut } from "./replay.ts";

/** llama-server's recordings that are about its own process or endpoints no gateway has. */
export const LLAMACPP_LEFT_OUT: readonly LeftOut[] = [
  {
    cases: ["003", "004", "005", "072", "073", "075"],
    why: "properties, slots and metrics of llama-server's own process: the gateway has its own",
  },
  { cases: ["007"], why: "a second path of the list of models, which only llama-server has" },
  {
    cases: ["009", "012", "013", "014", "015"],
    why: "Ollama's paths are unknown to llama-server: behind the gateway they work",
  },
  {
    cases: ["016", "017"],
    why: "llama-server lets every web page in, the gateway those of its settings, as Ollama does",
  },
  {
    cases: ["055", "056", "057", "061", "062", "063", "064", "083"],
    why: "llama-server's own endpoints below no dialect of the gateway",
  },
  { cases: ["059", "060"], why: "reranking and decisions are not served: the path is unknown" },
];

/** Where the gateway does not do as llama-server does, and why. */
export const LLAMACPP_DIFFERENCES: readonly Difference[] = [
  {
    what: /^object - (?:models|data\[\]\.(?:aliases|tags|architecture|meta))/,
    cases: ["006", "086"],
    why: "the list is the fleet's: what one kind of server adds to OpenAI's fields is left out",
  },
  {
    what: /^(?:status 404 > 200|order error > object)$/,
    cases: ["008"],
    why: "OpenAI's API has this endpoint",
  },
  {
    what: /^(?:type application\/json > text\/plain|order error > )$/,
    cases: ["010"],
    why: "a path of no dialect is told in plain text, as Ollama does",
  },
  {
    what: /^status 404 > 405$/,
    cases: ["011"],
    why: "a wrong method is 405 and says which are right, where llama-server knows no such path",
  },
  {
    what: /^(?:status 200 > 404|order object > error)$/,
    cases: ["023"],
    why: "a fleet has several models: an unknown one is not answered by another",
  },
  {
    what: /^(?:status 200 > 400|order object > error)$/,
    cases: ["024"],
    why: "a fleet has several models: the request must say which",
  },
  {
    what: /^error (?:\+ error\.param|error\.code number > (?:null|string))$/,
    why: "OpenAI's form of errors: the code is a word or null, never a number, and there is a param",
  },
  {
    what: /^error - error\.n_(?:prompt_tokens|ctx)$/,
    cases: ["030", "031"],
    why: "OpenAI's form of errors has no such fields; the message says both numbers",
  },
  {
    what: /^(?:object|response\.[\w.]+) \+ /,
    cases: ["065", "066"],
    why: "every object and event has all fields of OpenAI's specification",
  },
  {
    what: /^response\.completed - timings/,
    cases: ["066"],
    why: "OpenAI's specification has no timings",
  },
  {
    what: /^(?:object|message_start|message_delta) \+ (?:message\.)?usage\.(?:input_tokens|cache_\w+)$/,
    cases: ["067", "068"],
    why: "required by Anthropic's specification",
  },
  {
    what: /^told prompt 0 > 6$/,
    cases: ["068"],
    why: "what the backend did not count is told as the estimate that the message began with, not as nothing",
  },
  {
    what: /^(?:status 500 > 400|error \+ type|error \+ request_id|error - error\.code)$/,
    cases: ["070"],
    why: "Anthropic's own status and form, where llama-server uses OpenAI's form and blames itself",
  },
  {
    what: /^status 500 > 400$/,
    cases: ["085"],
    why: "an input that is too long is the client's mistake",
  },
];
