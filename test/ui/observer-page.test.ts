import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { until } from "../rig/until.ts";

/** The least of an element that the page's modules use. */
class FakeElement {
  readonly dataset: Record<string, string> = {};
  readonly options: readonly FakeElement[] = [];
  readonly inside: (FakeElement | string)[] = [];
  readonly bodies: FakeElement[] = [];
  readonly heads = new Map<string, FakeElement>();
  hidden = false;
  value = "";
  textContent = "";

  get children(): readonly FakeElement[] {
    return this.inside.filter((one) => one instanceof FakeElement);
  }

  get tBodies(): readonly FakeElement[] {
    if (this.bodies.length === 0) this.bodies.push(new FakeElement());
    return this.bodies;
  }

  /** All text of it, with a bar between the cells. */
  get words(): string {
    return [this.textContent, ...this.inside.map((one) => (typeof one === "string" ? one : one.words))].join(
      "|",
    );
  }

  get innerHTML(): string {
    return this.words;
  }

  append(...parts: (FakeElement | string)[]): void {
    for (const part of parts) this.inside.push(part);
  }

  replaceChildren(...parts: (FakeElement | string)[]): void {
    this.inside.length = 0;
    this.append(...parts);
  }

  /** Only bodies of tables are replaced. */
  replaceWith(fresh: FakeElement): void {
    this.replaceChildren(...fresh.inside);
  }

  insertRow(): FakeElement {
    const row = new FakeElement();
    this.append(row);
    return row;
  }

  insertCell(): FakeElement {
    return this.insertRow();
  }

  querySelector(selector: string): FakeElement {
    const head = this.heads.get(selector) ?? new FakeElement();
    this.heads.set(selector, head);
    return head;
  }

  setAttribute(): void {}
  addEventListener(): void {}
  focus(): void {}
}

/** A page in memory. Elements exist once they are looked for. */
class FakePage {
  readonly title: string = "";
  readonly elements = new Map<string, FakeElement>();
  readonly body: FakeElement = new FakeElement();

  getElementById(id: string): FakeElement {
    const element = this.elements.get(id) ?? new FakeElement();
    this.elements.set(id, element);
    return element;
  }

  createElement(): FakeElement {
    return new FakeElement();
  }

  createElementNS(): FakeElement {
    return new FakeElement();
  }
}

const TOTALS = {
  nodes: 1,
  gateways: 1,
  busy: 0,
  slots: 1,
  finishing: 0,
  waiting: 0,
  claimed: 1,
  deadLetters: 0,
};

const ROW = {
  request: "r",
  endpoint: "openai-chat",
  model: "tiny",
  phase: "running",
  ageMs: 1,
  tokens: 0,
  attempts: 1,
};

const SNAPSHOT = {
  at: 1,
  gateway: { tag: "g1", version: "1.2.3" },
  fleet: { totals: { ...TOTALS, tokensPerSecond: 0 }, problems: [], models: [], nodes: [] },
  faults: { windowMs: 1000, counts: [], latest: [] },
  requests: { open: 2, oldest: [{ ...ROW, keyName: "ann", tenant: "lab" }, ROW] },
  seconds: [0, 1],
};

const KINDS = [
  "HTMLElement",
  "HTMLFormElement",
  "HTMLInputElement",
  "HTMLOutputElement",
  "HTMLSelectElement",
  "HTMLTextAreaElement",
  "HTMLButtonElement",
  "HTMLTableElement",
];

describe("the live page with the key of an observer", () => {
  it("hides what the key cannot use, and shows the fleet with the names of keys", async () => {
    const page = new FakePage();
    const asked: string[] = [];
    // The stream stays open: the page reads it until the test is over.
    const stream = new ReadableStream<Uint8Array>({
      start: (control) => control.enqueue(Buffer.from(`data: ${JSON.stringify(SNAPSHOT)}\n\n`)),
    });
    const answer = (path: string): Promise<Response> => {
      asked.push(path);
      return Promise.resolve(new Response(stream, { headers: { "x-sgnet-role": "observer" } }));
    };
    const kinds = Object.fromEntries(KINDS.map((kind) => [kind, FakeElement]));
    Object.assign(globalThis, { document: page, fetch: answer, Option: FakeElement, ...kinds });
    const module = new URL("../../src/gateway/ui/page.js", import.meta.url).href;
    await import(module);
    const requests = page.getElementById("requests");
    await until("the requests", () => requests.tBodies[0]?.words.includes("ann (lab)"));
    assert.deepEqual(asked, ["/ui/events"]);
    assert.equal(page.getElementById("chat").hidden, true);
    assert.equal(page.getElementById("manage").hidden, true);
    assert.equal(page.getElementById("models").hidden, false);
    assert.equal(requests.heads.get("th.key")?.hidden, false);
    assert.equal(page.getElementById("faults").heads.get("th.key")?.hidden, true);
    assert.equal(page.getElementById("link").textContent, "live");
  });
});
