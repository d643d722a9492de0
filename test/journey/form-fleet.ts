import assert from "node:assert/strict";
import type { Field } from "../rig/multipart.ts";
import { sendJson, SurfaceServer } from "../rig/backends/surface-server.ts";
import type { Answer, SurfaceServerOptions } from "../rig/backends/surface-server.ts";
import type { Fleet, FleetPlan } from "../rig/fleet/fleet.ts";

/** A fleet whose only backend takes forms. */

export const TRANSCRIPTIONS = "/v1/audio/transcriptions";
export const PLAN: FleetPlan = { posts: [] };
export const HEARD: Answer = sendJson(200, { text: "Hello." });

export async function withServer(
  fleet: Fleet,
  options: SurfaceServerOptions,
  run: (server: SurfaceServer) => Promise<void>,
): Promise<void> {
  const server = await SurfaceServer.start({ models: ["openai/Whisper-1"], ...options });
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}`, SGNET_SLOTS: "4" });
    await fleet.known("openai/Whisper-1");
    await run(server);
  } finally {
    await server.stop();
  }
}

export interface Sent {
  readonly path?: string;
  readonly type?: string;
  readonly body: Buffer | string;
  readonly signal?: AbortSignal;
}

export async function send(
  fleet: Fleet,
  { path = TRANSCRIPTIONS, type = "multipart/form-data; boundary=b", body, signal }: Sent,
): Promise<Response> {
  return fetch(fleet.gateway.url + path, {
    method: "POST",
    headers: type === "" ? {} : { "content-type": type },
    body,
    ...(signal === undefined ? {} : { signal }),
  });
}

export async function refusal(reply: Response): Promise<{ status: number; code: string; message: string }> {
  assert.equal(reply.headers.get("content-type"), "application/json");
  const { error } = (await reply.json()) as { error: { code: string; message: string; type: string } };
  assert.equal(typeof error.type, "string");
  return { status: reply.status, code: error.code, message: error.message };
}

export const MODEL: Field = { name: "model", value: "OPENAI/whisper-1" };
export const FILE: Field = {
  name: "file",
  filename: "a.wav",
  value: Buffer.from([0, 255, 13, 10, 45, 45, 98, 0]),
};
