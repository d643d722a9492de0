import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AuditEntry } from "../../src/core/access/audit-entry.ts";
import { Fault } from "../../src/core/fault.ts";
import { Auditor } from "../../src/gateway/access/auditor.ts";
import type { RequestHeaders } from "../../src/gateway/http/http.ts";
import { Keyring } from "../../src/gateway/http/keyring.ts";

const MINUTE_MS = 60_000;

/** An auditor over a log that takes entries until it fails. */
function auditing() {
  const entries: AuditEntry[] = [];
  const warnings: unknown[] = [];
  const state = { mono: 1000, fails: false };
  const auditor = new Auditor({
    audit: {
      append: (entry) => {
        if (state.fails) return Promise.reject(new Fault("redis_down", "Redis is away"));
        entries.push(entry);
        return Promise.resolve();
      },
    },
    keyring: new Keyring({ apiKeys: "user", adminKeys: "root" }),
    log: { warn: (...said) => warnings.push(said) },
    mono: () => state.mono,
  });
  return { auditor, entries, warnings, state };
}

function request(key: string): { headers: RequestHeaders; remote: string } {
  const headers = { authorization: key === "" ? "" : `Bearer ${key}`, apiKey: "" } as RequestHeaders;
  return { headers, remote: "10.0.0.7" };
}

describe("the auditor of a gateway", () => {
  it("names the author by the name of the key, never by the key", async () => {
    const { auditor, entries } = auditing();
    for (const key of ["root", "user", "wrong", ""]) {
      await auditor.record(auditor.authorOf(request(key)), { action: "dead.drop", target: "1-1 of m" });
    }
    assert.deepEqual(
      entries.map(({ who }) => who),
      ["env-admin-1", "env-1", "anonymous", "anonymous"],
    );
    assert.deepEqual(entries[0], {
      who: "env-admin-1",
      from: "10.0.0.7",
      action: "dead.drop",
      target: "1-1 of m",
      outcome: "done",
    });
  });

  it("has an entry for 20 refusals at once, then for one a minute, which counts the others", () => {
    const { auditor, entries, state } = auditing();
    const author = auditor.authorOf(request("user"));
    const refuse = (times: number): void => {
      for (let time = 0; time < times; time += 1)
        auditor.refused(author, { action: "keys.create", target: "" });
    };
    refuse(10_000);
    assert.equal(entries.length, 20);
    state.mono += MINUTE_MS;
    refuse(10_000);
    assert.equal(entries.length, 21);
    assert.deepEqual([entries[20]?.outcome, entries[20]?.more], ["refused", 9980]);
    for (let minute = 0; minute < 60; minute += 1) {
      state.mono += MINUTE_MS;
      refuse(100);
    }
    assert.equal(entries.length, 81);
    const counted = entries.reduce((sum, { more = 0 }) => sum + 1 + more, 0);
    assert.equal(counted, 20_000 + 6000 - 99, "those since the last entry are not told yet");
    state.mono += 60 * MINUTE_MS;
    refuse(1);
    assert.equal(entries.at(-1)?.more, 99);
  });

  it("writes to its own log when Redis takes no entry, and lets the action stand", async () => {
    const { auditor, entries, warnings, state } = auditing();
    state.fails = true;
    await auditor.record(auditor.authorOf(request("root")), { action: "keys.revoke", target: "alice" });
    assert.deepEqual([entries.length, warnings.length], [0, 1]);
    assert.match(JSON.stringify(warnings), /keys\.revoke.*alice/);
    assert.doesNotMatch(JSON.stringify(warnings), /Bearer|"root"/);
  });
});
