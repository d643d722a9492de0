import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { banner, examples } from "../../src/commands/banner.ts";
import { withoutUser } from "../../src/redis/connection/access.ts";
import { renderFleet } from "../../src/commands/status.ts";
import type { ModelCard } from "../../src/core/model.ts";

const PLACEMENT = { swaps: 0, places: 1, loading: [], cold: [] };
const NOW = 1_000_000;
const CARD: ModelCard = {
  key: "tiny",
  name: "tiny:latest",
  modifiedAt: 0,
  size: 1,
  digest: "",
  format: "gguf",
  family: "llama",
  parameterSize: "1M",
  quantization: "F16",
  contextLength: 0,
  capabilities: [],
  ownedBy: "us",
  resident: true,
};

describe("the status", () => {
  it("shows gateways, workers, backends and models as tables", () => {
    const backend = {
      name: "ollama@a",
      kind: "ollama",
      url: "",
      slots: 4,
      busy: 1,
      healthy: true,
      models: [CARD],
    };
    const reading = {
      model: "tiny",
      waiting: 11,
      oldestWaitMs: 5000,
      claimed: 1,
      oldestIdleMs: 10,
      deadLetters: 0,
    };
    const process = { version: "1", host: "node1", pid: 1, startedAt: 0, seenAt: NOW - 2000 };
    const text = renderFleet(
      {
        gateways: [
          { ...process, tag: "g1", port: 3000, listen: "127.0.0.1", open: 12 },
          { ...process, tag: "g2", port: 3001, listen: "::1", open: 0 },
          { ...process, tag: "g3", port: 3002, open: 0 },
        ],
        workers: [
          {
            ...process,
            id: "w1",
            draining: true,
            backends: [
              backend,
              { ...backend, name: "b", healthy: false, placement: { ...PLACEMENT, swaps: 2 } },
              { ...backend, name: "c", gates: [{ model: "tiny", state: "half-open" }] },
            ],
          },
        ],
        models: [{ ...reading, workers: 1, slots: 8 }],
      },
      NOW,
    );
    assert.equal(
      text,
      `Gateways
  tag  host   listens on      open tasks  seen
  g1   node1  127.0.0.1:3000          12  2 s ago
  g2   node1  [::1]:3001               0  2 s ago
  g3   node1  *:3002                   0  2 s ago

Workers
  id  host   state     seen
  w1  node1  draining  2 s ago

Backends
  name      worker  state          busy/slots  models  loaded
  ollama@a  w1      draining       1/4              1  tiny
  b         w1      down           1/4              1  tiny; 2 swaps
  c         w1      failing: tiny  1/4              1  tiny

Models
  model  workers  slots  waiting  running  dead letters
  tiny         1      8       11        1             0
`,
    );
  });

  it("says so when there is nothing", () => {
    const text = renderFleet({ gateways: [], workers: [], models: [] }, NOW);
    assert.match(text, /^Gateways: none\n\nWorkers: none\n/);
  });
});

describe("what sgnet up says", () => {
  it("names each place", () => {
    assert.match(
      banner("1.2.3", { gateway: "http://x", redis: "own" }),
      /1\.2\.3\n {2}gateway {2}http:\/\/x\n/,
    );
  });

  it("gives commands that a shell reads as meant, whatever the model is called", () => {
    const model = `it's "odd" $HOME`;
    const curls = examples("http://127.0.0.1:3000", model)
      .split("\n")
      .filter((line) => line.includes("curl"));
    assert.equal(curls.length, 3);
    const words = curls.map((line) =>
      execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${line}`], { encoding: "utf8" }).split(
        "\n",
      ),
    );
    const chat = JSON.parse(words[0]?.[2] ?? "") as { model: string };
    assert.equal(chat.model, model);
    assert.equal(words[1]?.[0], "http://127.0.0.1:3000/v1/chat/completions");
    assert.deepEqual(words[2], ["http://127.0.0.1:3000/v1/models", ""]);
  });

  it("shows a Redis without its credentials", () => {
    assert.equal(withoutUser("redis://user:p@ss@host:1/0"), "redis://host:1/0");
    assert.equal(withoutUser("unix:///a@b/redis.sock"), "unix:///a@b/redis.sock");
    const sentinel = "redis+sentinel://user:p@ss@h1:1,h2:2/mymaster?username=s&password=secret";
    assert.equal(withoutUser(sentinel), "redis+sentinel://h1:1,h2:2/mymaster");
  });
});
