import assert from "node:assert/strict";
import { formBody } from "../rig/multipart.ts";
import { sendJson, SurfaceServer } from "../rig/backends/surface-server.ts";
import { FILE, send } from "./form-fleet.ts";
import { journey } from "../rig/fleet/fleet.ts";

/** Requests that name no model, at endpoints where OpenAI's clients need not name one. */

const EDITS = "/v1/images/edits";
const MODERATIONS = "/v1/moderations";
/** The file has a line that begins with a shorter one: Node's reader does not take that. */
const MARK = "form-of-a-test";
const DONE = { created: 1, data: [{ b64_json: "AAAA" }] };

journey(
  "a request without a model runs on the model that was chosen for it",
  { posts: [] },
  async (fleet) => {
    const server = await SurfaceServer.start({
      models: ["Zeta", "alpha"],
      paths: { [EDITS]: sendJson(200, DONE), [MODERATIONS]: sendJson(200, { model: "alpha", results: [] }) },
    });
    try {
      await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}` });
      await fleet.known("alpha");
      const moderated = await send(fleet, {
        path: MODERATIONS,
        type: "application/json",
        body: '{"input":"a"}',
      });
      assert.deepEqual(await moderated.json(), { model: "alpha", results: [] });
      assert.equal((await server.request(0)).body.toString(), '{"model":"alpha","input":"a"}');
      const image = { ...FILE, name: "image" };
      const forms = [formBody(MARK, [image]), formBody(MARK, [{ name: "model", value: "" }, image])];
      for (const [index, body] of forms.entries()) {
        const reply = await send(fleet, { path: EDITS, type: `multipart/form-data; boundary=${MARK}`, body });
        assert.equal(reply.status, 200, await reply.clone().text());
        assert.deepEqual(await reply.json(), DONE);
        const { body: sent, headers } = await server.request(index + 1);
        const type = { headers: { "content-type": headers["content-type"] ?? "" } };
        const fields = await new Response(sent, type).formData();
        assert.deepEqual(fields.getAll("model"), ["alpha"], `form ${index}`);
        const file = fields.get("image");
        const bytes = file instanceof File ? Buffer.from(await file.arrayBuffer()) : undefined;
        assert.deepEqual(bytes, FILE.value);
      }
    } finally {
      await server.stop();
    }
  },
);
