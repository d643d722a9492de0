import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { PYTHON_LIBRARIES } from "../clients/python-clients.ts";
import { AGENT_CLIENTS } from "./clients.ts";
import type { AgentFixture } from "./fixture.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/agents");
const page = readFileSync(join(import.meta.dirname, "../../docs/clients.md"), "utf8");

/** The libraries that the tests of this repository use as clients do, by their packages. */
const JS_LIBRARIES = ["ollama", "openai", "@anthropic-ai/sdk", "ai", "@ai-sdk/openai-compatible"];

function testedLibraries(): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, "../../package.json"), "utf8");
  const { devDependencies } = JSON.parse(text) as {
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  return [...JS_LIBRARIES.map((name) => `${name}@${devDependencies[name]}`), ...PYTHON_LIBRARIES];
}

/** The packages that the page names with a version. */
function namedPackages(): readonly string[] {
  return Array.from(page.matchAll(/`(@?[\w./-]+(?:@|==)\d[\w.]*)`/g), ([, name = ""]) => name);
}

describe("the agents that are run", () => {
  it("are on the page of clients, with their versions", () => {
    const missing = AGENT_CLIENTS.filter((client) => !page.includes(`\`${client.package}\``));
    assert.deepEqual(missing, []);
  });

  it("and the libraries that are tested are all that the page names", () => {
    const tested = [...AGENT_CLIENTS.map((client) => client.package), ...testedLibraries()];
    assert.deepEqual([...new Set(namedPackages())].toSorted(), [...new Set(tested)].toSorted());
  });

  it("are imported by the tests of clients, as the page says", () => {
    const files = ["../clients/sdk-clients.ts", "../clients/clients.py"];
    const imports = files.map((file) => readFileSync(join(import.meta.dirname, file), "utf8")).join("\n");
    for (const name of JS_LIBRARIES) assert.ok(imports.includes(`from "${name}"`), name);
    for (const name of PYTHON_LIBRARIES)
      assert.match(imports, new RegExp(`^import ${name.split("==")[0]}$`, "m"), name);
  });

  it("have each a section with a setting to paste", () => {
    const links = Array.from(page.matchAll(/^\| \[[^\]]+\]\(#([\w-]+)\)/gm), ([, anchor]) => anchor);
    const sections = page.split(/^## /m).slice(1);
    for (const anchor of links) {
      const found = sections.find((text) => anchorOf(text.split("\n")[0] ?? "") === anchor);
      assert.match(found ?? "", /127\.0\.0\.1:3000/, anchor);
    }
  });

  it("have each a record of what they sent in the version of the table", () => {
    const recorded = readdirSync(FOLDER).map((file) => {
      const { client, version } = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as AgentFixture;
      return `${client}: ${version}`;
    });
    const listed = AGENT_CLIENTS.map((client) => `${client.name}: ${client.package}`);
    assert.deepEqual(recorded.toSorted(), listed.toSorted());
  });

  it("left nothing of the machine and its user in the records", () => {
    for (const file of readdirSync(FOLDER)) {
      const text = readFileSync(join(FOLDER, file), "utf8");
      assert.doesNotMatch(
        text,
        /\/tmp\/|\/root\/|\/home\/(?!user\b)|sgnet-agents-|Bearer|api[_-]?key/i,
        file,
      );
    }
  });
});

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w -]/g, "")
    .replaceAll(" ", "-");
}
