import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { AGENT_CLIENTS } from "./clients.ts";
import type { AgentFixture } from "./fixture.ts";

const FOLDER = join(import.meta.dirname, "../fixtures/agents");
const page = readFileSync(join(import.meta.dirname, "../../docs/clients.md"), "utf8");

describe("the agents that are run", () => {
  it("are on the page of clients, with their versions", () => {
    const missing = AGENT_CLIENTS.filter((client) => !page.includes(`\`${client.package}\``));
    assert.deepEqual(missing, []);
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
