import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { startLeg } from "../../bench/legs.ts";
import { Children } from "../../bench/children.ts";
import { PEERS, findProgram, installedPeers } from "../../bench/peers.ts";

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(os.tmpdir(), "sgnet-peers-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("every peer is told its port and all backends, by arguments or configuration", () => {
  for (const peer of PEERS) {
    inFolder((folder) => {
      const place = { port: 4001, sparePort: 4002, backendPorts: [5001, 5002], folder };
      const told = [
        ...peer.args(place),
        ...readdirSync(folder).map((file) => readFileSync(path.join(folder, file), "utf8")),
      ].join("\n");
      for (const port of [4001, 5001, 5002]) assert.match(told, new RegExp(`\\b${port}\\b`), peer.name);
    });
  }
});

test("what is on PATH is found, and only that; one that is missing is no way", async () => {
  inFolder((folder) => {
    const before = process.env["PATH"];
    writeFileSync(path.join(folder, "litellm"), "#!/bin/sh\n", { mode: 0o755 });
    writeFileSync(path.join(folder, "vllm-router"), "not a program", { mode: 0o644 });
    process.env["PATH"] = folder;
    try {
      assert.equal(findProgram("litellm"), path.join(folder, "litellm"));
      assert.equal(findProgram("vllm-router"), undefined);
      assert.ok(installedPeers().includes("litellm"));
    } finally {
      process.env["PATH"] = before;
    }
  });
  const context = {
    children: new Children(),
    folder: os.tmpdir(),
    slots: 1,
    processes: 1,
    workers: 1,
    backendDialect: "openai",
  } as const;
  await assert.rejects(
    startLeg("moonproxy", { ...context, backendPorts: [1] }),
    /moonproxy is not installed/,
  );
});
