import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type Field, formBody } from "../rig/multipart.ts";
import { formAnswer } from "../rig/backends/form-answer.ts";
import {
  FILE,
  HEARD,
  MODEL,
  PLAN,
  refusal,
  send,
  type Sent,
  TRANSCRIPTIONS,
  withServer,
} from "./form-fleet.ts";
import { type FleetPlan, journey } from "../rig/fleet/fleet.ts";

/** Forms that a backend gets through gateway, Redis and worker. */

const PATHS = [
  TRANSCRIPTIONS,
  "/v1/audio/translations",
  "/v1/images/edits",
  "/v1/images/variations",
] as const;

function fieldsOf(model: string): Field[] {
  return [
    { name: "prompt", value: "OPENAI/whisper-1" },
    FILE,
    { ...MODEL, value: model },
    { name: "timestamp_granularities[]", value: "word" },
    { name: "timestamp_granularities[]", value: "segment" },
  ];
}

journey("a form reaches its backend byte for byte but for the model, at each path", PLAN, async (fleet) => {
  const paths = Object.fromEntries(PATHS.map((path) => [path, HEARD]));
  await withServer(fleet, { paths }, async (server) => {
    for (const [index, path] of PATHS.entries()) {
      const around = { preamble: "hello\r\n", epilogue: "\r\nbye", padding: "\t " };
      const type = 'multipart/form-data; charset="x"; boundary="a b\'(c)"';
      const reply = await send(fleet, {
        path,
        type,
        body: formBody("a b'(c)", fieldsOf("OPENAI/whisper-1"), around),
      });
      assert.equal(reply.status, 200, await reply.clone().text());
      assert.deepEqual(await reply.json(), { text: "Hello." });
      const seen = await server.request(index);
      assert.equal(seen.path, path);
      assert.equal(seen.headers["content-type"], `multipart/form-data; boundary="a b'(c)"`);
      assert.deepEqual(seen.body, formBody("a b'(c)", fieldsOf("openai/Whisper-1"), around));
    }
  });
});

journey(
  "forms at random arrive as they were, and other readers find in them what went in",
  PLAN,
  async (fleet) => {
    await withServer(fleet, { paths: { [TRANSCRIPTIONS]: formAnswer() } }, async (server) => {
      const boundary = fc.string({
        minLength: 27,
        maxLength: 70,
        unit: fc.constantFrom("-", "a", "Z", "0", "_", "'"),
      });
      const value = fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc
          .array(fc.constantFrom("\r\n", "--", "b", "\0", "ü"), { maxLength: 40 })
          .map((pieces) => Buffer.from(pieces.join(""))),
      );
      const field = fc.record({
        name: fc.constantFrom("file", "image[]", "prompt", "Model", "include[]"),
        value: value.map((bytes) => Buffer.from(bytes)),
        filename: fc.constant("x.bin"),
      });
      const stored = fc.boolean();
      let count = 0;
      await fc.assert(
        fc.asyncProperty(
          boundary,
          fc.array(field, { maxLength: 4 }),
          fc.nat(4),
          stored,
          async (mark, files, place, isLarge) => {
            const padding: Field[] = isLarge
              ? [{ name: "pad", filename: "pad", value: Buffer.alloc(150_000, "\r\n--") }]
              : [];
            const body = (model: string): Buffer =>
              formBody(mark, [...files, ...padding].toSpliced(place, 0, { ...MODEL, value: model }));
            const reply = await send(fleet, {
              type: `multipart/form-data; boundary=${mark}`,
              body: body("openai/WHISPER-1"),
            });
            assert.equal(reply.status, 200, await reply.clone().text());
            const seen = await server.request(count);
            count += 1;
            assert.deepEqual(seen.body, body("openai/Whisper-1"));
            const told = (await reply.json()) as { fields: [string, string][] };
            assert.equal(told.fields.find(([name]) => name === "model")?.[1], "openai/Whisper-1");
            assert.equal(told.fields.length, files.length + padding.length + 1);
          },
        ),
        { numRuns: 25 },
      );
    });
  },
);

/** A form of so many bytes, with its model behind its file. */
function formOf(bytes: number): Buffer {
  const rest = formBody("b", [{ ...FILE, value: "" }, MODEL]).length;
  return formBody("b", [{ ...FILE, value: Buffer.alloc(bytes - rest, "\r\n--\0") }, MODEL]);
}

function limited(bytes: number): FleetPlan {
  return { ...PLAN, env: { SGNET_MAX_BODY_BYTES: String(bytes) } };
}

const LIMIT = 64 * 1024 * 1024;

journey("a form of 64 MiB goes through, with its model behind its file", limited(LIMIT), async (fleet) => {
  await withServer(fleet, { paths: { [TRANSCRIPTIONS]: HEARD } }, async (server) => {
    const whole = formOf(LIMIT);
    const reply = await send(fleet, { body: whole });
    assert.equal(reply.status, 200, await reply.clone().text());
    const { body } = await server.request();
    assert.equal(body.length, LIMIT);
    const at = whole.indexOf("OPENAI/whisper-1");
    assert.ok(body.subarray(0, at).equals(whole.subarray(0, at)));
    const end = whole.toString("latin1", at).replace("OPENAI/whisper-1", "openai/Whisper-1");
    assert.equal(body.toString("latin1", at), end);
  });
});

// The gateway reads a whole megabyte before it refuses. A client that is still sending may not read an earlier answer.
const SMALL_LIMIT = 1024 * 1024;

journey(
  "a form may be as large as a body may be; a larger one is told",
  limited(SMALL_LIMIT),
  async (fleet) => {
    await withServer(fleet, { paths: { [TRANSCRIPTIONS]: HEARD } }, async (server) => {
      const reply = await send(fleet, { body: formOf(SMALL_LIMIT) });
      assert.equal(reply.status, 200, await reply.clone().text());
      const told = await refusal(await send(fleet, { body: formOf(SMALL_LIMIT + 1) }));
      assert.equal(told.status, 413);
      assert.match(told.message, /larger than 1048576 bytes/);
      assert.equal(server.seen.length, 1);
    });
  },
);

journey("what is wrong with a form is told, and nothing of it is queued", PLAN, async (fleet) => {
  await withServer(
    fleet,
    { paths: { [TRANSCRIPTIONS]: HEARD, "/v1/audio/translations": HEARD } },
    async (server) => {
      const json = '{"model":"openai/whisper-1","file":"x"}';
      const cases: readonly [what: string, sent: Sent, status: number, message: RegExp][] = [
        [
          "JSON",
          { type: "application/json", body: json },
          415,
          /takes multipart\/form-data.*application\/json/,
        ],
        ["no content type", { type: "", body: Buffer.from(json) }, 415, /takes multipart\/form-data/],
        ["no boundary", { type: "multipart/form-data", body: formBody("b", [MODEL]) }, 400, /one boundary/],
        [
          "two boundaries",
          { type: "multipart/form-data; boundary=b; boundary=c", body: formBody("b", [MODEL]) },
          400,
          /one boundary/,
        ],
        ["another boundary", { body: formBody("c", [MODEL]) }, 400, /does not have the boundary/],
        ["no end", { body: formBody("b", [MODEL, FILE]).subarray(0, -6) }, 400, /part 2/],
        ["two models", { body: formBody("b", [MODEL, FILE, MODEL]) }, 400, /'model' 2 times/],
        ["a model in a file", { body: formBody("b", [{ ...MODEL, filename: "m" }]) }, 400, /must be a field/],
        ["an unknown model", { body: formBody("b", [{ ...MODEL, value: "none" }]) }, 404, /none/],
        [
          "a long unknown model",
          { body: formBody("b", [{ ...MODEL, value: "n".repeat(200_000) }]) },
          404,
          /nnn…/,
        ],
        ["nothing", { body: "" }, 400, /missing request body/],
      ];
      for (const [what, sent, status, message] of cases) {
        const told = await refusal(await send(fleet, sent));
        assert.equal(told.status, status, what);
        assert.match(told.message, message, what);
      }
      const form = { path: "/v1/chat/completions", body: formBody("b", [MODEL, FILE]) };
      const chat = await refusal(await send(fleet, form));
      assert.equal(chat.status, 415);
      assert.match(chat.message, /takes application\/json.*multipart\/form-data/);
      const lacking = await refusal(
        await send(fleet, { path: "/v1/images/edits", body: formBody("b", [MODEL]) }),
      );
      assert.equal(lacking.status, 501);
      assert.equal(server.seen.length, 0);
    },
  );
});
