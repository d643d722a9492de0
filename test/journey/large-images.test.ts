import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type Answer, SurfaceServer } from "../rig/backends/surface-server.ts";
import { send } from "./form-fleet.ts";
import { journey } from "../rig/fleet/fleet.ts";

/** Images of many megabytes, whole and as events. */

const PATH = "/v1/images/generations";
const IMAGE = "QUJD".repeat(7_500_000);
const WHOLE = JSON.stringify({ created: 1, data: [{ b64_json: IMAGE }] });
const EVENTS =
  `event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"AA"}\n\n` +
  `event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"${IMAGE}"}\n\n`;

const draw: Answer = ({ body, response }) => {
  const isStream = body.includes('"stream":true');
  response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" });
  response.end(isStream ? EVENTS : WHOLE);
};

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

journey("an image of 30 MB comes whole, in one piece and as an event", { posts: [] }, async (fleet) => {
  const server = await SurfaceServer.start({ models: ["flux"], paths: { [PATH]: draw } });
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}` });
    await fleet.known("flux");
    for (const [stream, expected] of [
      [false, WHOLE],
      [true, EVENTS],
    ] as const) {
      const body = JSON.stringify({ prompt: "a", stream });
      const reply = await send(fleet, { path: PATH, type: "application/json", body });
      assert.equal(reply.status, 200);
      const text = await reply.text();
      assert.deepEqual([text.length, digest(text)], [expected.length, digest(expected)]);
    }
  } finally {
    await server.stop();
  }
});
