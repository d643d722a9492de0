import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { findWeights } from "../../src/backends/embedded/weights.ts";
import { EMBEDDED_MODEL } from "../rig/fleet/embedded-model.ts";
import type { Fleet } from "../rig/fleet/fleet.ts";
import { atExit } from "../rig/at-exit.ts";
import { pythonWith, type Python } from "../rig/python.ts";

/** A prebuilt llama.cpp for Python. */
export const LLAMA_LIBRARY = "xllamacpp==2026.10.11549";

/** A real OpenAI-compatible server: llama.cpp's own, over a small model. */
export class LlamaServer {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #spare: () => void;

  private constructor(options: { url: string; child: ChildProcess; spare: () => void }) {
    this.url = options.url;
    this.#child = options.child;
    this.#spare = options.spare;
  }

  /** @param model.path a GGUF file */
  static async start(python: Python, model: { path: string; name: string }): Promise<LlamaServer> {
    const script = join(import.meta.dirname, "llama_server.py");
    const child = spawn(python.command, [script, model.path, model.name], {
      env: { ...process.env, PYTHONPATH: python.packages, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const spare = atExit(() => child.kill("SIGKILL"));
    let story = "";
    child.stderr.on("data", (chunk: Buffer) => (story += chunk.toString()));
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith("http://")) return new LlamaServer({ url: line, child, spare });
    }
    spare();
    throw new Error(`llama.cpp's server did not start: ${story.slice(-2000)}`);
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, "exit");
    this.#child.stdin?.end();
    await exited;
    this.#spare();
  }
}

/** Runs a test beside llama.cpp's own server, with a worker for it; skips it where the server cannot be had. */
export async function besideLlama(
  fleet: Fleet,
  t: TestContext,
  run: (server: LlamaServer) => Promise<void>,
): Promise<void> {
  const python = await pythonWith(LLAMA_LIBRARY);
  if (typeof python === "string") {
    t.skip(python);
    return;
  }
  const { path } = await findWeights({ embeddedModel: "", cacheDir: "" });
  const server = await LlamaServer.start(python, { path, name: EMBEDDED_MODEL });
  try {
    await fleet.addBareWorker({ SGNET_BACKENDS: `llamacpp+${server.url}` });
    await fleet.known(EMBEDDED_MODEL);
    await run(server);
  } finally {
    await server.stop();
  }
}
