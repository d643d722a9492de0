import assert from "node:assert/strict";
import { formBody } from "../rig/multipart.ts";
import { type Answer, sendBytes, SurfaceServer } from "../rig/backends/surface-server.ts";
import { FILE, HEARD, MODEL, PLAN, refusal, send, TRANSCRIPTIONS, withServer } from "./form-fleet.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";

/** Replies to forms that are relayed through gateway, Redis and worker. */

async function ask(fleet: Fleet, stream = "false"): Promise<Response> {
  return send(fleet, { body: formBody("b", [MODEL, FILE, { name: "stream", value: stream }]) });
}

journey("answers come in the backend's own type, whole or in pieces", PLAN, async (fleet) => {
  await withServer(fleet, { paths: { [TRANSCRIPTIONS]: HEARD } }, async (server) => {
    const answers: readonly [type: string, text: string][] = [
      ["application/json", '{"text":"x","usage":{"type":"duration","seconds":3}}'],
      ["application/json; charset=utf-8", '{"task":"transcribe","segments":[]}'],
      ["text/plain; charset=utf-8", "Hello, world.\n"],
      ["text/plain", "data: no event\n\n"],
      ["text/plain", '{"cut'],
      ["text/plain", ""],
      ["text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nHi\n"],
      ["application/x-subrip", "1\n00:00:00,000 --> 00:00:01,000\nHi\n"],
      ["text/html; charset=utf-8", " Hello\n"],
      ["application/json", "plain text all the same\n"],
      ["audio/wav", "\0\u00ff"],
    ];
    for (const stream of ["false", "true"]) {
      for (const [type, text] of answers) {
        server.paths = { [TRANSCRIPTIONS]: sendBytes(200, type, Buffer.from(text)) };
        const reply = await send(fleet, {
          body: formBody("b", [MODEL, FILE, { name: "stream", value: stream }]),
        });
        assert.equal(reply.status, 200, type);
        assert.equal(reply.headers.get("content-type"), type, `${type}, ${stream}`);
        assert.equal(await reply.text(), text);
      }
    }
  });
});

journey("a cut answer never looks complete, and an error keeps its words and status", PLAN, async (fleet) => {
  await withServer(fleet, { paths: { [TRANSCRIPTIONS]: HEARD } }, async (server) => {
    const errors: readonly [status: number, type: string, body: string, told: number, message: RegExp][] = [
      [
        400,
        "application/json",
        '{"error":{"message":"Invalid file format."}}',
        400,
        /^Invalid file format\.$/,
      ],
      [
        422,
        "application/json",
        '{"detail":[{"loc":["body","file"],"msg":"Field required"}]}',
        422,
        /Field required/,
      ],
      [413, "text/plain", "Maximum content size limit exceeded", 413, /^Maximum content size/],
      [500, "text/plain", "ffmpeg failed", 500, /^ffmpeg failed$/],
    ];
    for (const [status, type, body, told, message] of errors) {
      server.paths = { [TRANSCRIPTIONS]: sendBytes(status, type, body) };
      const { status: got, message: said } = await refusal(await ask(fleet));
      assert.equal(got, told, body);
      assert.match(said, message);
    }
    server.paths = { [TRANSCRIPTIONS]: sendBytes(200, "application/json", '{"text":"cu') };
    assert.equal((await ask(fleet)).status, 502);
    server.paths = {
      [TRANSCRIPTIONS]: sendBytes(
        200,
        "text/event-stream",
        'data: {"type":"transcript.text.delta","delta":"a"}\n\n',
      ),
    };
    const events = await ask(fleet, "true");
    assert.equal(events.headers.get("content-type"), "text/event-stream");
    assert.match(await events.text(), /"delta":"a"[^]*"error"/);
    // In plain text no error can stand.
    server.paths = {
      [TRANSCRIPTIONS]: ({ response }) => {
        response.writeHead(200, { "content-type": "text/plain" });
        response.write("Hel", () => setImmediate(() => response.destroy()));
      },
    };
    const text = await ask(fleet, "true");
    assert.equal(text.headers.get("content-type"), "text/plain");
    await assert.rejects(text.text());
  });
});

journey("a client that leaves frees the backend", PLAN, async (fleet) => {
  await withServer(fleet, { paths: { [TRANSCRIPTIONS]: () => undefined } }, async (server) => {
    for (const [index, stream] of ["false", "true"].entries()) {
      const leave = new AbortController();
      const asked = send(fleet, {
        body: formBody("b", [MODEL, FILE, { name: "stream", value: stream }]),
        signal: leave.signal,
      });
      const gone = assert.rejects(asked);
      const { left } = await server.request(index);
      leave.abort();
      await gone;
      await left;
    }
  });
});

journey(
  "a backend that dies in the middle of an answer: the form runs again, whole, on another",
  PLAN,
  async (fleet) => {
    const bodies: Buffer[] = [];
    const paths: Readonly<Record<string, Answer>> = {
      [TRANSCRIPTIONS]: ({ response, body }) => {
        bodies.push(body);
        response.writeHead(200, { "content-type": "text/plain", "content-length": "6" });
        // The first that is asked is the one that dies.
        if (bodies.length === 1) response.write("Hel", () => response.destroy());
        else response.end("Hello.");
      },
    };
    await withServer(fleet, { paths }, async () => {
      await withServer(fleet, { paths }, async () => {
        await fleet.workers(2);
        const value = Buffer.alloc(300_000, "\r\n--\0");
        const reply = await send(fleet, { body: formBody("b", [{ ...FILE, value }, MODEL]) });
        assert.equal(reply.status, 200, await reply.clone().text());
        assert.equal(await reply.text(), "Hello.");
        assert.equal(bodies.length, 2);
        assert.deepEqual(bodies[1], bodies[0]);
      });
    });
  },
);

/** A model as Ollama lists it. */
function tag(name: string, capabilities: readonly string[]): object {
  return {
    name,
    model: name,
    modified_at: "2026-11-01T00:00:00Z",
    size: 1,
    digest: "a",
    details: {},
    capabilities,
  };
}

journey("an Ollama hears with the models that can", PLAN, async (fleet) => {
  const models = [tag("gemma4:latest", ["completion", "audio"]), tag("tiny:latest", ["completion"])];
  const documents = {
    "/api/tags": { models },
    "/api/ps": { models: [] },
    "/api/version": { version: "0.33.0" },
  };
  const server = await SurfaceServer.start({ paths: { [TRANSCRIPTIONS]: HEARD }, documents });
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `ollama+${server.url}` });
    await fleet.known("gemma4");
    const body = formBody("b", [FILE, { ...MODEL, value: "Gemma4" }]);
    const reply = await send(fleet, { body });
    assert.equal(await reply.text(), '{"text":"Hello."}');
    const seen = await server.request();
    assert.deepEqual(seen.body, formBody("b", [FILE, { ...MODEL, value: "gemma4:latest" }]));
    const deaf = await refusal(
      await send(fleet, { body: formBody("b", [FILE, { ...MODEL, value: "tiny" }]) }),
    );
    assert.equal(deaf.status, 501);
    server.paths = { [TRANSCRIPTIONS]: ({ response }) => response.end() };
    assert.equal((await send(fleet, { body })).status, 502, "an answer that is empty is none");
  } finally {
    await server.stop();
  }
});
