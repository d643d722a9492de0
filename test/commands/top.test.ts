import assert from "node:assert/strict";
import { stripVTControlCharacters } from "node:util";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { Screen } from "../../src/commands/screen.ts";
import type { Terminal } from "../../src/commands/screen.ts";
import { renderEnded, renderOpen } from "../../src/commands/timeline.ts";
import { renderTop as picture } from "../../src/commands/top-view.ts";
import type { TopReadings, ToneLine } from "../../src/commands/top-view.ts";
import type { TaskSummary } from "../../src/core/summary.ts";
import type { QueuedEntry } from "../../src/redis/inspect/open-tasks.ts";

const NOW = Date.UTC(2026, 10, 23);

const HOLD = { entry: "1-0", worker: "w1", idleMs: 5, deliveries: 2, requeued: false };

const PICTURE: TopReadings = {
  fleet: {
    problems: ["Backend b of one is down."],
    totals: {
      gateways: 1,
      nodes: 1,
      backends: 2,
      slots: 6,
      busy: 1,
      finishing: 0,
      waiting: 2,
      claimed: 1,
      deadLetters: 0,
      tokensPerSecond: 9.25,
    },
    models: [
      {
        model: "tiny",
        waiting: 2,
        oldestWaitMs: 1500,
        claimed: 1,
        deadLetters: 0,
        tokensPerSecond: 9.25,
        slots: 4,
        nodes: ["one"],
        backends: 1,
        resident: 1,
      },
    ],
    nodes: [
      {
        worker: "w1",
        host: "one",
        draining: false,
        starting: false,
        silent: false,
        silentMs: 10,
        backends: [
          {
            name: "a",
            kind: "ollama",
            healthy: true,
            state: "healthy",
            slots: 4,
            busy: 1,
            models: 1,
            resident: ["tiny:latest"],
            broken: [],
          },
          {
            name: "b",
            kind: "ollama",
            healthy: false,
            state: "down",
            slots: 2,
            busy: 0,
            models: 0,
            resident: [],
            broken: [],
          },
          {
            name: "c",
            kind: "vllm",
            healthy: true,
            state: "failing",
            slots: 2,
            busy: 0,
            models: 1,
            resident: [],
            broken: ["big"],
          },
        ],
      },
    ],
  },
  faults: { windowMs: 600_000, counts: [["backend_lost", 3]], latest: [] },
  held: [{ ...HOLD, model: "tiny", queuedAt: NOW - 4100 }],
  rates: [0, 5, 10],
  now: NOW,
};

function textOf(lines: readonly ToneLine[]): string {
  return lines.map(({ text }) => `${text}\n`).join("");
}

describe("the view of sgnet top", () => {
  it("tells it all in lines", () => {
    assert.equal(
      textOf(picture(PICTURE)),
      `Stargazer
Needs attention
  Backend b of one is down.
1 gateway, 1 node, 1 of 6 slots busy, 2 waiting, 1 running, 9.3 tokens/s  ▁▅█

Models
  model  waiting  oldest  running  slots  loaded on  tokens/s  nodes
  tiny         2  1.5 s         1      4  1 of 1          9.3  one

Nodes
  node  worker  backend  state    busy    loaded
  one   w1      a        healthy  1 of 4  tiny:latest
  one   w1      b        down     0 of 2  -
  one   w1      c        failing  0 of 2  -

Running requests, of all gateways
  model  worker  since  delivery
  tiny   w1      4.1 s         2

Errors of the last 10 min
  code          times
  backend_lost      3
`,
    );
  });

  it("tones what is wrong", () => {
    const tones = picture(PICTURE).filter(({ tone }) => tone === "bad" || tone === "warn");
    assert.deepEqual(
      tones.map(({ tone, text }) => [tone, text.trim().slice(0, 12)]),
      [
        ["warn", "Needs attent"],
        ["warn", "Backend b of"],
        ["bad", "one   w1    "],
        ["bad", "one   w1    "],
      ],
    );
  });
});

/** A terminal of 20 columns and 4 rows. */
class FakeTerminal {
  drawn = "";
  raw = false;
  columns = 20;
  rows = 4;
  readonly colours: boolean;
  readonly output: Terminal["output"] & EventEmitter;
  readonly input: Terminal["input"] & EventEmitter;

  constructor(colours: boolean) {
    this.colours = colours;
    this.output = Object.defineProperties(new EventEmitter(), {
      columns: { get: () => this.columns },
      rows: { get: () => this.rows },
      write: { value: (text: string) => (this.drawn += text) },
      hasColors: { value: () => this.colours },
    }) as Terminal["output"] & EventEmitter;
    this.input = Object.assign(new EventEmitter(), {
      isTTY: true,
      setRawMode: (raw: boolean) => (this.raw = raw),
      resume: () => {},
      pause: () => {},
    }) as unknown as Terminal["input"] & EventEmitter;
  }
}

const LINES: readonly ToneLine[] = Array.from({ length: 9 }, (_none, index) => ({
  tone: "good",
  text: `line ${index} ${"x".repeat(30)}`,
}));

describe("the screen", () => {
  it("cuts to its size, and draws again when that changes", () => {
    const terminal = new FakeTerminal(false);
    const screen = new Screen(terminal, () => {});
    screen.draw(LINES);
    assert.ok(terminal.drawn.includes(`line 0 ${"x".repeat(13)}\u001B[K\n`));
    assert.ok(terminal.drawn.includes("line 2") && !terminal.drawn.includes("line 3"));
    terminal.rows = 6;
    terminal.output.emit("resize");
    assert.ok(terminal.drawn.includes("line 4"));
    screen.close();
    assert.equal(terminal.output.listenerCount("resize") + terminal.input.listenerCount("data"), 0);
  });

  it("always shows its footer, which tells how much does not fit, and never scrolls", () => {
    const terminal = new FakeTerminal(false);
    terminal.columns = 60;
    const screen = new Screen(terminal, () => {});
    const shown = (): string[] => {
      const last = terminal.drawn.slice(terminal.drawn.lastIndexOf("\u001B[H"));
      return stripVTControlCharacters(last).split("\n");
    };
    for (const [rows, footer] of [
      [20, "q quits"],
      [10, "q quits"],
      [9, "q quits, 1 more line: make the window taller"],
      [4, "q quits, 6 more lines: make the window taller"],
      [2, "q quits, 8 more lines: make the window taller"],
    ] as const) {
      terminal.rows = rows;
      screen.draw(LINES, "q quits");
      assert.equal(shown().length, Math.min(rows, LINES.length + 1));
      assert.equal(shown().at(-1), footer);
    }
    terminal.rows = 3;
    terminal.output.emit("resize");
    assert.equal(shown().at(-1), "q quits, 7 more lines: make the window taller");
    terminal.rows = 1;
    terminal.output.emit("resize");
    assert.equal(shown().length, 1);
    assert.match(shown()[0] ?? "", /^line 0/);
    screen.close();
  });

  it("takes a terminal that tells no size for one of 80 by 24", () => {
    const terminal = new FakeTerminal(false);
    Object.assign(terminal, { rows: 0, columns: undefined });
    const screen = new Screen(terminal, () => {});
    screen.draw(LINES, "q quits");
    assert.ok(terminal.drawn.includes(`line 8 ${"x".repeat(30)}`) && terminal.drawn.includes("q quits"));
    screen.close();
  });

  it("cuts by cells: wide letters take two, marks none, and no letter is cut in two", () => {
    const terminal = new FakeTerminal(false);
    terminal.columns = 7;
    const screen = new Screen(terminal, () => {});
    for (const [text, cut] of [
      ["日本語モデル", "日本語"],
      ["ab日本語", "ab日本"],
      ["🚀🚀🚀🚀", "🚀🚀🚀"],
      [
        "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301",
        "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301",
      ],
      ["▁▂▃▄▅▆▇█", "▁▂▃▄▅▆▇"],
    ] as const) {
      screen.draw([{ tone: "plain", text }]);
      assert.ok(terminal.drawn.includes(`\u001B[H${cut}\u001B[K`), text);
    }
    screen.close();
  });

  it("uses colours only where the terminal says so", () => {
    for (const colours of [true, false]) {
      const terminal = new FakeTerminal(colours);
      const screen = new Screen(terminal, () => {});
      screen.draw(LINES);
      screen.close();
      assert.equal(terminal.drawn.includes("[32m"), colours);
    }
  });

  it("tells of q and Ctrl-C, and gives the terminal back as it was", () => {
    const terminal = new FakeTerminal(true);
    let quits = 0;
    const screen = new Screen(terminal, () => (quits += 1));
    assert.equal(terminal.raw, true);
    for (const key of ["x", "q", "\u0003"]) terminal.input.emit("data", Buffer.from(key));
    assert.equal(quits, 2);
    screen.close();
    assert.equal(terminal.raw, false);
    assert.ok(terminal.drawn.endsWith("[?25h\u001B[?1049l"));
  });
});

const SUMMARY: TaskSummary = {
  task: "g1.2",
  request: "mine",
  endpoint: "openai-chat",
  model: "tiny",
  at: NOW,
  code: "ok",
  status: 200,
  totalMs: 1100,
  stream: true,
  worker: "w2",
  attempts: 2,
  queuedMs: 4.2,
  claimedMs: 2.1,
  backendMs: 98,
  firstByteMs: 100,
  promptTokens: 5,
  completionTokens: 11,
  bytes: 900,
};

describe("the timeline of a request", () => {
  it("has its steps in the order they happened", () => {
    assert.equal(
      renderEnded(SUMMARY),
      `Request mine
  task         g1.2
  endpoint     openai-chat, as a stream
  model        tiny
  worker       w2, in attempt 2
  outcome      answered, status 200

  2026-11-23T00:00:00.000Z  accepted by the gateway
  +2.1 ms                   queued: Redis has it
  +2.1 ms                   claimed by the worker that answered
  +100 ms                   first byte from the backend
  +100 ms                   first byte to the client
  +1.1 s                    answered: 5 tokens in, 11 out, 900 bytes, 10.0 tokens/s
`,
    );
  });

  it("tells of a client that left, and of a refusal", () => {
    const left = renderEnded({ ...SUMMARY, code: "cancelled", status: 499, leftIn: "queued" });
    assert.match(left, /cancelled, status 499\n[^]*the client left \(queued\)\n$/);
    const { task, request, endpoint, at } = SUMMARY;
    const refused = { task, request, endpoint, at, model: "", code: "bad_json", status: 400, totalMs: 0 };
    assert.match(
      renderEnded(refused),
      /model +none: the request was refused earlier\n[^]*bad_json, status 400\n[^]*\+0 ms/,
    );
  });

  it("does not let a model's name steer the terminal", () => {
    assert.match(renderEnded({ ...SUMMARY, model: "\u001B[2Jx" }), /model +\\u001b\[2Jx\n/);
  });

  it("tells what an open task waits for", () => {
    const queued: QueuedEntry = {
      model: "tiny",
      entry: "5-0",
      hold: undefined,
      task: {
        id: "g1.2",
        endpoint: "openai-chat",
        model: "tiny",
        stream: false,
        createdAt: NOW,
        deadline: NOW + 60_000,
        requestId: "mine",
        trace: "",
      },
    };
    const none = { frames: 0, bytes: 0, workers: [], ended: false };
    const later = NOW + 3000;
    assert.match(
      renderOpen("mine", { queued, reply: none }, later),
      /\+3\.0 s +now: waiting in the queue; no frame yet\n$/,
    );
    const hold = { ...HOLD, idleMs: 20 };
    const reply = { frames: 3, bytes: 70, workers: ["w0", "w1"], ended: false };
    assert.match(
      renderOpen("mine", { queued: { ...queued, hold }, reply }, later),
      /now: claimed by w1, last heard of 20 ms ago, delivery 2; running: 3 frames, 70 bytes, from w0, then w1\n$/,
    );
    const back = { ...HOLD, requeued: true };
    assert.match(
      renderOpen("mine", { queued: { ...queued, hold: back }, reply: none }, later),
      /now: requeued by w1, waiting for another try; no frame yet\n$/,
    );
    assert.match(renderOpen("mine", { queued, reply: undefined }, later), /no client waits for the reply\n$/);
    assert.match(
      renderOpen("g1.2", { reply: { ...reply, ended: true } }, later),
      /no queue entry; answered: 3 frames/,
    );
  });
});
