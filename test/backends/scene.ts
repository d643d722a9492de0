import type { TestContext } from "node:test";
import { HttpBackend } from "../../src/backends/http-backend.ts";
import type { HttpKind } from "../../src/backends/profiles.ts";
import { startStandIn, type StandIn, type StandInOptions } from "../rig/backends/stand-in.ts";

/** A backend and the server it talks to. */
export interface Scene {
  readonly standIn: StandIn;
  readonly backend: HttpBackend;
}

/** A scene until the end of the test. */
export async function sceneOf(t: TestContext, kind: HttpKind, options: StandInOptions = {}): Promise<Scene> {
  const standIn = await startStandIn({ speaks: kind === "ollama" ? "ollama" : "openai", ...options });
  const target = { origin: standIn.url, prefix: "", authorization: undefined };
  const backend = new HttpBackend({ kind, target, slots: 0 });
  t.after(async () => {
    await backend.close();
    await standIn.stop();
  });
  return { standIn, backend };
}
