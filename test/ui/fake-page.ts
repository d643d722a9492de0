/** The least of an element that the page's modules use. */
export class FakeElement {
  readonly dataset: Record<string, string> = {};
  readonly options: readonly FakeElement[] = [];
  readonly inside: (FakeElement | string)[] = [];
  readonly bodies: FakeElement[] = [];
  readonly heads: Map<string, FakeElement> = new Map();
  readonly #listeners = new Map<string, (event: object) => void>();
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

  addEventListener(type: string, listener: (event: object) => void): void {
    this.#listeners.set(type, listener);
  }

  /** Does what a browser does when the form is sent. */
  submit(): void {
    this.#listeners.get("submit")?.({ preventDefault: () => undefined });
  }

  focus(): void {}
}

/** A page in memory. Elements exist once they are looked for. */
export class FakePage {
  readonly title: string = "";
  readonly elements: Map<string, FakeElement> = new Map();
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

/** The page's timers must not keep the process of a test. */
function looseTimer(task: () => void, ms: number): NodeJS.Timeout {
  return repeat(task, ms).unref();
}
const repeat = setInterval;

/** Loads the live page into a page in memory, once per process. @param answer stands for the gateway */
export async function openPage(answer: typeof fetch): Promise<FakePage> {
  const page = new FakePage();
  const kinds = Object.fromEntries(KINDS.map((kind) => [kind, FakeElement]));
  Object.assign(globalThis, {
    document: page,
    fetch: answer,
    Option: FakeElement,
    setInterval: looseTimer,
    ...kinds,
  });
  await import(new URL("../../src/gateway/ui/page.js", import.meta.url).href);
  return page;
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

/** A snapshot with two open requests, one of them with a key. */
const SNAPSHOT = {
  at: 1,
  gateway: { tag: "g1", version: "1.2.3" },
  fleet: { totals: { ...TOTALS, tokensPerSecond: 0 }, problems: [], models: [], nodes: [] },
  faults: { windowMs: 1000, counts: [], latest: [] },
  requests: { open: 2, oldest: [{ ...ROW, keyName: "ann", tenant: "lab" }, ROW] },
  seconds: [0, 1],
};

/** An event stream that stays open after one snapshot. */
export function snapshots(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (control) => control.enqueue(Buffer.from(`data: ${JSON.stringify(SNAPSHOT)}\n\n`)),
  });
}
