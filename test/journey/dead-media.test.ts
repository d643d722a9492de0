import assert from "node:assert/strict";
import type { Task } from "../../src/core/task.ts";
import { newFolder, startCommand } from "../rig/command.ts";
import { formBody } from "../rig/multipart.ts";
import { sendBytes, SurfaceServer } from "../rig/backends/surface-server.ts";
import { type Fleet, journey } from "../rig/fleet/fleet.ts";
import { FILE, HEARD, TRANSCRIPTIONS } from "./form-fleet.ts";
import { aTask } from "../rig/task.ts";
import { leaveDeadLetter } from "../rig/dead-letter.ts";

/** Dead letters of requests and answers that are no text, run again from the command line. */

const SPEECH = "/v1/audio/speech";
const SOUND = Buffer.from([0x52, 0x49, 0xff, 0xfe, 0x00, 0x80, 0x0d]);
const FORM = formBody("b", [FILE, { name: "model", value: "bge" }]);

const TASK = { model: "bge", createdAt: 1, deadline: 60_001 };

async function lay(
  { probe, keys }: Fleet,
  asked: Pick<Task, "endpoint" | "body" | "requestId"> & Partial<Task>,
): Promise<void> {
  const task = aTask({ ...TASK, id: `g1.${asked.requestId}`, ...asked });
  await leaveDeadLetter(probe, keys, task);
}

interface Ran {
  readonly code: number | null;
  readonly out: Buffer;
  readonly stderr: string;
}

async function retry({ redisUrl }: Fleet, ...args: readonly string[]): Promise<Ran> {
  const folder = newFolder();
  const command = startCommand(["dead", "retry", ...args], {
    cwd: folder.path,
    env: { REDIS_URL: redisUrl },
  });
  const pieces: Buffer[] = [];
  command.child.stdout?.on("data", (piece: Buffer) => pieces.push(piece));
  const code = await command.ended;
  folder.remove();
  return { code, out: Buffer.concat(pieces), stderr: command.stderr() };
}

journey("dead letters of forms and of sound run again", { posts: [] }, async (fleet) => {
  const server = await SurfaceServer.start({
    paths: { [SPEECH]: sendBytes(200, "audio/wav", SOUND), [TRANSCRIPTIONS]: HEARD },
  });
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `openai+${server.url}` });
    await fleet.known("bge");
    const speak = { endpoint: "openai-speech", body: Buffer.from('{"model":"bge","input":"a"}') } as const;
    for (const requestId of ["sound", "coded"]) await lay(fleet, { ...speak, requestId });
    const form = { contentType: "multipart/form-data; boundary=b", modelAt: FORM.indexOf("bge") };
    await lay(fleet, {
      endpoint: "openai-transcriptions",
      body: FORM,
      requestId: "form",
      stream: false,
      ...form,
    });
    await lay(fleet, { endpoint: "openai-rerank", body: Buffer.from('{"model":"bge"}'), requestId: "rank" });

    const sound = await retry(fleet, "sound");
    assert.equal(sound.code, 0, sound.stderr);
    assert.deepEqual(sound.out, SOUND, "not a byte more");
    const coded = await retry(fleet, "coded", "--json");
    const { letters } = JSON.parse(coded.out.toString()) as { letters: Record<string, unknown>[] };
    assert.deepEqual(
      [letters[0]?.["answerBase64"], letters[0]?.["answer"]],
      [SOUND.toString("base64"), undefined],
    );
    const heard = await retry(fleet, "form");
    assert.equal(heard.out.toString(), '{"text":"Hello."}\n', heard.stderr);
    assert.deepEqual((await server.request(2)).body, FORM);

    const ranked = await retry(fleet, "rank");
    assert.equal(ranked.code, 1);
    assert.match(ranked.stderr, /: no backend of the model 'bge' has rerank\n/);
  } finally {
    await server.stop();
  }
});
