import { relative } from "node:path";

interface Started {
  readonly name: string;
  readonly nesting: number;
  readonly file?: string | undefined;
}

/** The full names of tests and suites, as they start to be reported: in the order of their definition, file by file. */
export class TestNames {
  readonly #root: string;
  readonly #names: string[] = [];
  /** Names from the outermost to the one that started last. */
  #path: string[] = [];

  constructor(root: string) {
    this.#root = root;
  }

  add({ name, nesting, file = "" }: Started): void {
    this.#path = [...this.#path.slice(0, nesting), name];
    const [first = "", ...inner] = this.#path;
    // A file that shares its process is a suite of its name.
    const path = first.endsWith(".test.ts") ? this.#path : [relative(this.#root, file), ...this.#path];
    if (path !== this.#path || inner.length > 0) this.#names.push(path.join(" > "));
  }

  /** One a line, sorted; a name that comes twice is there twice. */
  get text(): string {
    const lines = this.#names.map((name) => name.replaceAll("\n", String.raw`\n`));
    return `${lines.toSorted().join("\n")}\n`;
  }
}
