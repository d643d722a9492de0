import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import OpenAI, { toFile } from "openai";
import { PYTHON_LIBRARIES } from "../clients/python-clients.ts";
import { type FoundForm, readForm } from "../rig/backends/form-answer.ts";
import { pythonWith } from "../rig/python.ts";
import {
  type Answer,
  type SeenRequest,
  sendBytes,
  sendJson,
  SurfaceServer,
} from "../rig/backends/surface-server.ts";
import { type Fleet, type FleetPlan, journey } from "../rig/fleet/fleet.ts";

/** Sound and pictures through the clients that people have. */

const run = promisify(execFile);
const PLAN: FleetPlan = { posts: [] };
const SOUND = Buffer.from("RIFF\r\n--\0\u00ff", "latin1");
const PICTURE = { created: 1, data: [{ b64_json: "cGljdHVyZQ==" }] };

/** The answer of a backend to each format. */
const SAID: Readonly<Record<string, Answer>> = {
  json: sendJson(200, {
    text: "Hello.",
    usage: { type: "tokens", input_tokens: 14, output_tokens: 2, total_tokens: 16 },
  }),
  text: sendBytes(200, "text/plain; charset=utf-8", "Hello.\n"),
  srt: sendBytes(200, "application/x-subrip", "1\n00:00:00,000 --> 00:00:01,000\nHello.\n"),
  vtt: sendBytes(200, "text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nHello.\n"),
  verbose_json: sendJson(200, {
    task: "transcribe",
    language: "english",
    duration: 1.5,
    text: "Hello.",
    segments: [],
    words: [],
  }),
};

const DELTA = { type: "transcript.text.delta", delta: "Hel" };
const DONE = {
  type: "transcript.text.done",
  text: "Hello.",
  usage: { type: "tokens", input_tokens: 14, output_tokens: 2, total_tokens: 16 },
};
const PARTIAL = { type: "image_edit.partial_image", b64_json: "cA==", partial_image_index: 0 };
const COMPLETED = {
  type: "image_edit.completed",
  b64_json: "cGljdHVyZQ==",
  usage: { input_tokens: 5, output_tokens: 7, total_tokens: 12 },
};

/** The answer in one piece to a form with these fields. */
type Whole = (fields: Readonly<Record<string, string>>) => Answer;

/** A scripted backend for sound and pictures. */
class MediaServer {
  readonly found: FoundForm[] = [];
  /** The second event of a stream is sent when this resolves. */
  rest: Promise<void> = Promise.resolve();
  #server: SurfaceServer | undefined;

  async start(fleet: Fleet): Promise<void> {
    const sound = this.#answer(
      DELTA,
      DONE,
      ({ response_format = "json" }) => SAID[response_format] ?? sendJson(400, {}),
    );
    const picture = this.#answer(PARTIAL, COMPLETED, () => sendJson(200, PICTURE));
    const paths = {
      "/v1/audio/transcriptions": sound,
      "/v1/audio/translations": sound,
      "/v1/images/edits": picture,
      "/v1/images/variations": picture,
    };
    this.#server = await SurfaceServer.start({ models: ["openai/Media-1"], paths });
    await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${this.#server.url}`, SGNET_SLOTS: "4" });
    await fleet.known("openai/Media-1");
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  #answer(first: object, last: object, whole: Whole): Answer {
    return (seen) => {
      void this.#serve(seen, [first, last], whole);
    };
  }

  async #serve(seen: SeenRequest, [first, last]: readonly [object, object], whole: Whole): Promise<void> {
    const form = await readForm(seen.headers["content-type"] ?? "", seen.body);
    this.found.push(form);
    const fields = Object.fromEntries(form.fields) as Record<string, string>;
    if (fields["stream"] !== "true") {
      whole(fields)(seen);
      return;
    }
    const { response } = seen;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    response.write(`event: ${"type" in first ? String(first.type) : ""}\ndata: ${JSON.stringify(first)}\n\n`);
    await this.rest;
    response.end(`data: ${JSON.stringify(last)}\n\n`);
  }
}

function media(name: string, go: (fleet: Fleet, server: MediaServer) => Promise<void>): void {
  journey(name, PLAN, async (fleet) => {
    const server = new MediaServer();
    try {
      await server.start(fleet);
      await go(fleet, server);
    } finally {
      await server.stop();
    }
  });
}

const MODEL = "openai/media-1";

media(
  "OpenAI's library for JavaScript: every format of a transcription, and a stream as it comes",
  async (fleet, server) => {
    const { audio } = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
    const file = await toFile(SOUND, "a.wav", { type: "audio/wav" });
    const asked = { file, model: MODEL };
    assert.equal((await audio.transcriptions.create(asked)).text, "Hello.");
    for (const format of ["text", "srt", "vtt"] as const) {
      const text: unknown = await audio.transcriptions.create({ ...asked, response_format: format });
      assert.match(String(text), /Hello\./);
    }
    const granularities = { timestamp_granularities: ["word" as const, "segment" as const] };
    const verbose = await audio.transcriptions.create({
      ...asked,
      ...granularities,
      response_format: "verbose_json",
    });
    assert.equal(verbose.duration, 1.5);
    assert.equal((await audio.translations.create(asked)).text, "Hello.");
    const rest = Promise.withResolvers<void>();
    server.rest = rest.promise;
    const types: string[] = [];
    for await (const event of await audio.transcriptions.create({ ...asked, stream: true })) {
      types.push(event.type);
      // The end is sent when the beginning has come.
      rest.resolve();
    }
    assert.deepEqual(types, ["transcript.text.delta", "transcript.text.done"]);
    for (const { fields } of server.found) {
      const of = (name: string): string | undefined => fields.find(([one]) => one === name)?.[1];
      assert.equal(of("model"), "openai/Media-1");
      assert.match(of("file") ?? "", /^a\.wav, 10 bytes, /);
    }
  },
);

media("OpenAI's library for JavaScript: pictures, whole and as they come", async (fleet, server) => {
  const { images } = new OpenAI({ baseURL: `${fleet.gateway.url}/v1`, apiKey: "none", maxRetries: 0 });
  const image = [
    await toFile(SOUND, "1.png", { type: "image/png" }),
    await toFile(SOUND, "2.png", { type: "image/png" }),
  ];
  const asked = { image, prompt: "a hat", model: MODEL };
  assert.equal((await images.edit(asked)).data?.[0]?.b64_json, "cGljdHVyZQ==");
  assert.equal(server.found[0]?.fields.filter(([name]) => name === "image[]").length, 2);
  const [first] = image;
  assert.ok(first);
  const varied = await images.createVariation({ image: first, model: MODEL });
  assert.equal(varied.data?.[0]?.b64_json, "cGljdHVyZQ==");
  const rest = Promise.withResolvers<void>();
  server.rest = rest.promise;
  const types: string[] = [];
  for await (const event of await images.edit({ ...asked, stream: true, partial_images: 1 })) {
    types.push(event.type);
    rest.resolve();
  }
  assert.deepEqual(types, ["image_edit.partial_image", "image_edit.completed"]);
});

media("curl -F", async (fleet, server) => {
  const path = join(fleet.folder, "a sound.wav");
  await writeFile(path, SOUND);
  const url = `${fleet.gateway.url}/v1/audio/transcriptions`;
  const flags = [
    "-sS",
    "-F",
    `file=@${path}`,
    "-F",
    `model=${MODEL}`,
    "-F",
    "response_format=vtt",
    "-w",
    " %{http_code} %{content_type}",
  ];
  const { stdout } = await run("curl", [...flags, url]);
  assert.match(stdout, /^WEBVTT[^]*Hello\.\n 200 text\/vtt$/);
  assert.deepEqual(
    server.found[0]?.fields.map(([name, value]) => [name, value.replace(/, [0-9a-f]+$/, "")]),
    [
      ["file", "a sound.wav, 10 bytes"],
      ["model", "openai/Media-1"],
      ["response_format", "vtt"],
    ],
  );
});

journey("OpenAI's library for Python", PLAN, async (fleet, t) => {
  const python = await pythonWith(...PYTHON_LIBRARIES);
  if (typeof python === "string") {
    t.skip(python);
    return;
  }
  const server = new MediaServer();
  try {
    await server.start(fleet);
    const script = join(import.meta.dirname, "../clients/media.py");
    const env = { ...process.env, PYTHONPATH: python.packages, PYTHONDONTWRITEBYTECODE: "1" };
    const { stdout } = await run(python.command, [script, fleet.gateway.url, MODEL], { env });
    assert.deepEqual(JSON.parse(stdout), {
      json: "Hello.",
      text: "Hello.\n",
      srt: "1\n00:00:00,000 --> 00:00:01,000\nHello.\n",
      verbose: 1.5,
      stream: ["transcript.text.delta", "transcript.text.done"],
      translation: "Hello.",
      edit: "cGljdHVyZQ==",
      variation: "cGljdHVyZQ==",
    });
  } finally {
    await server.stop();
  }
});
