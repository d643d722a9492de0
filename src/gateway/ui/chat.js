/** The chat box: one message, one streamed answer, no memory. */
import { readEvents } from "./stream.js";

const form = find("chat-form", HTMLFormElement);
const choice = find("chat-model", HTMLSelectElement);
const prompt = find("chat-prompt", HTMLTextAreaElement);
const send = find("chat-send", HTMLButtonElement);
const stop = find("chat-stop", HTMLButtonElement);
const state = find("chat-state", HTMLElement);
const answer = find("chat-answer", HTMLElement);

/** @type {AbortController | undefined} */
let running;

/**
 * @template {HTMLElement} Kind
 * @param {string} id @param {new () => Kind} kind
 * @returns {Kind}
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${id}`);
  return element;
}

/** Offers these models and keeps the selection. @param {readonly string[]} models */
export function offerModels(models) {
  const offered = [...choice.options].map((option) => option.value);
  if (offered.join("\n") === models.join("\n")) return;
  const chosen = choice.value;
  choice.replaceChildren(...models.map((model) => new Option(model, model, false, model === chosen)));
}

async function ask() {
  const abort = new AbortController();
  running = abort;
  send.disabled = true;
  stop.disabled = false;
  answer.textContent = "";
  // Screen readers announce the whole answer, not each token.
  answer.ariaBusy = "true";
  state.textContent = "waiting …";
  const from = performance.now();
  try {
    const tokens = await stream(abort.signal, () => {
      state.textContent = `first token after ${seconds(from)} s …`;
    });
    state.textContent = `${tokens === undefined ? "" : `${tokens} tokens in `}${seconds(from)} s`;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    state.textContent = abort.signal.aborted ? "stopped" : `That failed: ${why}`;
  } finally {
    running = undefined;
    send.disabled = false;
    stop.disabled = true;
    answer.ariaBusy = "false";
  }
}

/** Resolves with the number of tokens in the answer, when it is reported. @param {AbortSignal} signal @param {() => void} onFirst */
async function stream(signal, onFirst) {
  const body = {
    model: choice.value,
    messages: [{ role: "user", content: prompt.value }],
    stream: true,
    stream_options: { include_usage: true },
  };
  /** @type {number | undefined} */
  let tokens;
  let whole = false;
  const onData = (/** @type {string} */ data) => {
    if (data === "[DONE]") {
      whole = true;
      return;
    }
    const event = JSON.parse(data);
    if (event.error) throw new Error(event.error.message);
    const text = event.choices?.[0]?.delta?.content ?? "";
    if (text !== "" && answer.textContent === "") onFirst();
    answer.append(text);
    tokens = event.usage?.completion_tokens ?? tokens;
  };
  await readEvents("/v1/chat/completions", { body, signal, onData });
  if (!whole) throw new Error("the answer broke off");
  return tokens;
}

/** @param {number} from ms, monotonic */
function seconds(from) {
  return ((performance.now() - from) / 1000).toFixed(2);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (running === undefined) void ask();
});

stop.addEventListener("click", () => {
  running?.abort();
  send.focus();
});

prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
