/** Event streams by fetch: unlike an EventSource they can carry an API key and a body. */

/** The key, while the page is open. Kept nowhere else. */
let apiKey = "";

/** @param {string} key empty for none */
export function useKey(key) {
  apiKey = key;
}

/** An answer other than 2xx. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Asks this gateway, and calls back with the data of each event until the stream ends.
 * @param {string} path
 * @param {{ body?: object, signal?: AbortSignal, onOpen?: () => void, onData: (data: string) => void }} options
 */
export async function readEvents(path, { body, signal, onOpen, onData }) {
  const headers = new Headers({ accept: "text/event-stream" });
  if (apiKey !== "") headers.set("authorization", `Bearer ${apiKey}`);
  if (body !== undefined) headers.set("content-type", "application/json");
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(path, { ...request, headers, cache: "no-store", signal: signal ?? null });
  if (!response.ok || response.body === null) {
    throw new Refusal(response.status, await reasonOf(response));
  }
  onOpen?.();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      if (lines.length > 0) onData(lines.map((line) => line.slice(5).trimStart()).join("\n"));
    }
  }
}

/** What a refusal says. @param {Response} response */
export async function reasonOf(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return error.message ?? error;
  } catch {
    return text === "" ? `The gateway answered ${response.status}.` : text;
  }
}
