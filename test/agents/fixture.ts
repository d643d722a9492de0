import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { hostname, release, userInfo } from "node:os";
import { join } from "node:path";
import type { AgentClient, Place } from "./client.ts";
import type { Exchange } from "./recorder.ts";
import { SUMMARY } from "../rig/backends/scripted-model.ts";

/** The requests of a client in the order in which it sent them, without personal and machine details. */
export interface AgentFixture {
  readonly client: string;
  readonly version: string;
  readonly requests: readonly {
    readonly path: string;
    readonly dropped: readonly string[];
    readonly body: Readonly<Record<string, unknown>>;
  }[];
}

export const FIXTURES: string = join(import.meta.dirname, "../fixtures/agents");

export async function writeFixture(
  { name, package: version }: AgentClient,
  exchanges: readonly Exchange[],
  place: Place,
): Promise<void> {
  const scrub = new Scrubber(place);
  const requests = exchanges.map(({ path, dropped, body }) => ({ path, dropped, body: scrub.value(body) }));
  const file = join(FIXTURES, `${name.replaceAll(/[^\w]+/g, "-").replace(/-$/, "")}.json`);
  await writeFile(file, `${JSON.stringify({ client: name, version, requests }, null, 1)}\n`);
}

/** Longer texts are the vendors' own: the beginning, the length and a hash say which is which. */
const LONGEST = 160;
const KEPT = 60;

class Scrubber {
  readonly #words: readonly (readonly [string, string])[];
  readonly #ids = new Map<string, string>();

  constructor({ home, project, url, package: folder }: Place) {
    const words: [string, string][] = [
      [project, "/home/user/project"],
      [home, "/home/user"],
      [project.replaceAll("/", "-"), "-home-user-project"],
      [folder, "/opt/agent"],
      [process.execPath, "/usr/bin/node"],
      [join(import.meta.dirname), "/opt/tests"],
      [url, "http://127.0.0.1:11434"],
      [hostname(), "host"],
      [release(), "6.0.0"],
    ];
    const { username } = userInfo();
    this.#words = username === "root" ? words : [...words, [username, "user"]];
  }

  value(value: unknown): unknown {
    if (typeof value === "string") return this.#text(value);
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [this.#text(name), this.value(inner)]),
    );
  }

  #text(text: string): string {
    let clean = text;
    for (const [word, instead] of this.#words) clean = clean.replaceAll(word, instead);
    clean = clean
      .replaceAll(/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}/gi, (id) => this.#numbered(id))
      .replaceAll(/\b[\da-f]{64}\b/g, (id) => this.#numbered(id))
      .replaceAll(/\bses_\w{20,}/g, (id) => this.#numbered(id))
      .replaceAll(/\b\d{13}\b/g, "1700000000000");
    if (clean.length <= LONGEST) return clean;
    const hash = createHash("sha256").update(clean).digest("hex").slice(0, 12);
    // A conversation that was shortened is told by it.
    const summary = clean.includes(SUMMARY) ? ` ${SUMMARY}` : "";
    return `${clean.slice(0, KEPT)}… [${clean.length} characters, ${hash}]${summary}`;
  }

  /** Each id becomes a number of its own, the same wherever it stands. */
  #numbered(id: string): string {
    const known = this.#ids.get(id);
    if (known !== undefined) return known;
    const number = `00000000-0000-0000-0000-${String(this.#ids.size + 1).padStart(12, "0")}`;
    this.#ids.set(id, number);
    return number;
  }
}
