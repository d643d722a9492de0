import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import { withFormModel } from "../../src/protocols/openai/multipart-model.ts";
import { readFormHead } from "../../src/protocols/openai/multipart-request.ts";
import { readForm } from "../rig/backends/form-answer.ts";
import { formBody } from "../rig/multipart.ts";
import { journey } from "../rig/fleet/fleet.ts";
import { SurfaceServer } from "../rig/backends/surface-server.ts";
import { effort, LIMIT_MS } from "./effort.ts";
import { whileHarmed } from "./watch.ts";

/** Malformed forms. Gateway and backend read the same, or the form is refused. */

const MARK = "----x27charactersandmoreofit";

/** Pieces of forms, in any order. They decide where a part begins and which part it is. */
const PIECES: readonly string[] = [
  `--${MARK}`,
  `\r\n--${MARK}`,
  `\r\n--${MARK}\r\n`,
  `\r\n--${MARK}--`,
  `\n--${MARK}\n`,
  `--${MARK}--\r\n`,
  "\r\n",
  "\r\n\r\n",
  "\n",
  "\r",
  "--",
  " ",
  "\t",
  "\0",
  "ü",
  'Content-Disposition: form-data; name="model"',
  "content-disposition:form-data;name=model",
  'Content-Disposition: form-data; name="model"; filename="x"',
  'Content-Disposition: form-data; name="mo\\del"',
  "Content-Disposition: form-data; name*=utf-8''model",
  'Content-Disposition: form-data; filename="x"; name="stream"',
  'Content-Disposition: form-data; name="model"; name="file"',
  'Content-Disposition: attachment; name="model"',
  "Content-Transfer-Encoding: base64",
  "Content-Transfer-Encoding: 8bit",
  "Content-Type: text/plain; charset=utf-16",
  "Content-Length: 1",
  "tiny",
  "other",
  "true",
  "dGlueQ==",
];

const sound = formBody(MARK, [
  { name: "file", filename: "a.wav", value: "RIFF" },
  { name: "model", value: "tiny" },
  { name: "stream", value: "false" },
]);

/** A sound form, spoiled at some places, or pieces of forms in any order. */
const hostile: fc.Arbitrary<Buffer> = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(""))),
  fc
    .array(fc.tuple(fc.nat(sound.length), fc.nat(6), fc.constantFrom("", ...PIECES)), {
      minLength: 1,
      maxLength: 4,
    })
    .map(spoiled),
);

/** @param changes from a place on so many bytes are replaced by a text */
function spoiled(changes: readonly (readonly [at: number, bytes: number, text: string])[]): Buffer {
  let form = sound;
  for (const [at, bytes, text] of changes) {
    form = Buffer.concat([form.subarray(0, at), Buffer.from(text), form.subarray(at + bytes)]);
  }
  return form;
}

const TYPE = `multipart/form-data; boundary=${MARK}`;

function opened(form: Buffer): ReturnType<typeof readFormHead> | undefined {
  try {
    return readFormHead(form, TYPE);
  } catch (error) {
    assert.ok(error instanceof Fault && error.http < 500, String(error));
    return undefined;
  }
}

test("what is read of a form is what another reader finds in it, before and after the model's name is changed", async (t) => {
  let both = 0;
  await fc.assert(
    fc.asyncProperty(hostile, async (form) => {
      const ours = opened(form);
      if (ours === undefined) return;
      const { model, contentType } = ours;
      const sent = withFormModel(form, { ...ours, asked: model }, "bäckend");
      const theirs = await readForm(contentType, sent).catch(() => undefined);
      if (theirs === undefined) return;
      both += 1;
      const models = theirs.fields.filter(([name]) => name === "model").map(([, value]) => value);
      assert.deepEqual(models, ["bäckend"]);
    }),
    effort(t, 3000),
  );
  t.diagnostic(`${both} were read by both`);
  assert.ok(both > 0);
});

journey(
  "forms of every wrong kind, before a backend that takes forms",
  { limitMs: LIMIT_MS },
  async (fleet, t) => {
    const { gateway } = fleet;
    const path = "/v1/audio/transcriptions";
    const server = await SurfaceServer.start({
      models: ["hears"],
      paths: { [path]: ({ response }) => response.end("heard") },
    });
    try {
      const worker = await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}` });
      await fleet.known("hears");
      const types = fc.constantFrom(
        TYPE,
        TYPE,
        TYPE,
        "multipart/form-data",
        `${TYPE}; boundary=b`,
        'multipart/form-data; boundary="',
        "multipart/mixed; boundary=b",
        "application/json",
        "",
      );
      const ask = async (form: Buffer, type: string): Promise<void> => {
        const body = Buffer.from(form.toString("latin1").replaceAll("tiny", "hears"), "latin1");
        const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
        const response = await fetch(gateway.url + path, { method: "POST", headers, body });
        const text = await response.text();
        assert.ok(response.status < 500, `${response.status} ${text}`);
        if (response.status >= 400)
          assert.equal(typeof (JSON.parse(text) as { error: { message: string } }).error.message, "string");
        else assert.equal(text, "heard");
      };
      const harm = async (): Promise<void> =>
        fc.assert(fc.asyncProperty(hostile, types, ask), effort(t, 150));
      t.diagnostic(await whileHarmed(gateway, { programs: [gateway, worker], mostMiB: 200, harm }));
    } finally {
      await server.stop();
    }
  },
);
