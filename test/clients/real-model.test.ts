import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { EMBEDDED_MODEL as MODEL, embeddedJourney } from "../rig/fleet/embedded-model.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { besideLlama } from "./llama-server.ts";
import { sharedPythonClients } from "./python-clients.ts";
import { outcomeOf, SDK_CLIENTS } from "./sdk-clients.ts";

/** A real small model, behind two kinds of backend: every dialect hears the same words. */

const QUESTION = { model: MODEL, prompt: "Once upon a time, there was a little girl who", tokens: 12 };
const STAYS = new AbortController().signal;
/** The first run of all fetches the weights and the libraries. */
const LIMIT_MS = 600_000;

/** Text completion takes the prompt as it is, without the template of a chat. */
function isRaw(name: string): boolean {
  return name.includes("completions");
}

/** Asks through every client of both languages, streamed and whole, one after the other. */
async function assertSameWords(fleet: Fleet, t: TestContext): Promise<void> {
  const { url } = fleet.gateway;
  const heard = new Map<string, string>();
  for (const [name, client] of Object.entries(SDK_CLIENTS)) {
    for (const stream of name.includes("helper") ? [true] : [true, false]) {
      let pieces = 0;
      const call = { ...QUESTION, url, stream, signal: STAYS };
      const { text, error } = await outcomeOf(client, call, () => (pieces += 1));
      assert.equal(error, undefined, name);
      assert.ok(!stream || pieces > 5, `${name}: ${pieces} pieces`);
      heard.set(`${name}, ${stream ? "stream" : "whole"}`, text);
    }
  }
  await askPython(url, heard, t);
  for (const raw of [true, false]) {
    const texts = [...heard].filter(([name]) => isRaw(name) === raw);
    const [, first = ""] = texts[0] ?? [];
    assert.ok(first.length > 20, first);
    for (const [name, text] of texts) assert.equal(text, first, name);
    t.diagnostic(`${texts.length} ways ${raw ? "of text completion" : "of chat"} say: ${first}`);
  }
}

async function askPython(url: string, heard: Map<string, string>, t: TestContext): Promise<void> {
  const clients = await sharedPythonClients();
  if (typeof clients === "string") {
    t.diagnostic(`without Python's libraries: ${clients}`);
    return;
  }
  for (const client of clients.names) {
    for (const stream of client.includes("helper") ? [true] : [true, false]) {
      const { text, error } = await clients.ask({ ...QUESTION, client, url, stream });
      assert.equal(error, null, client);
      heard.set(`Python's ${client}, ${stream ? "stream" : "whole"}`, text);
    }
  }
}

embeddedJourney("the embedded model says the same through every client", assertSameWords);

journey(
  "llama.cpp's own server says the same through every client",
  { posts: [], limitMs: LIMIT_MS },
  async (fleet, t) => besideLlama(fleet, t, async () => assertSameWords(fleet, t)),
);
