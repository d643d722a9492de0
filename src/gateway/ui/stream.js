/** Event streams over fetch: unlike an EventSource, a fetch can carry an API key and a body. */

/** The key, kept only while the page is open. */
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
 * Sends a request to this gateway and calls back with the data of each event until the stream ends.
 * @param {string} path
 * @param {{ body?: object, signal?: AbortSignal, onOpen?: (role: string) => void, onData: (data: string) => void }} options
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
  onOpen?.(response.headers.get("x-sgnet-role") ?? "");
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

/** Returns the message of a refusal. @param {Response} response */
export async function reasonOf(response) {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text);
    return error.message ?? error;
  } catch {
    return text === "" ? `The gateway answered ${response.status}.` : text;
  }
}
