import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, it } from "node:test";

/** The house rules that the compiler and the linter cannot check. */

interface Source {
  /** Below the root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
}

const ROOT = join(import.meta.dirname, "..");
const SELF = "test/architecture.test.ts";

function sourcesBelow(folder: string, extension: RegExp): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => extension.test(file))
    .map((file) => {
      const path = `${folder}/${file.replaceAll("\\", "/")}`;
      const text = readFileSync(join(ROOT, path), "utf8");
      return { path, text, code: withoutComments(text) };
    });
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/(?<![:"'`\w])\/\/ .*$/gm, "");
}

const SRC = sourcesBelow("src", /\.ts$/);
const ALL = [
  ...SRC,
  ...sourcesBelow("test", /\.ts$/),
  ...sourcesBelow("bench", /\.ts$/),
  ...sourcesBelow("docs", /\.md$/),
];

/** Paths of the sources whose code matches, but for those allowed. */
function offenders(sources: readonly Source[], pattern: RegExp, allowed: RegExp): string[] {
  return sources
    .filter(({ path, code }) => pattern.test(code) && !allowed.test(path))
    .map(({ path }) => path);
}

const NOWHERE = /^$/;
const PURE = SRC.filter(({ path }) => /^src\/(?:core|wire|protocols)\//.test(path));

/** The folders of the gateway: each may import those before it, and none the files above them. */
const GATEWAY_FOLDERS = ["http", "access", "fleet", "requests", "monitor", "models", "dead-letters", "admin"];

/** The rank of a file of the gateway: its folder's index, or above all of them. Undefined elsewhere. */
function rankOf(path: string): number | undefined {
  const inGateway = /^src\/gateway\/(?:([\w-]+)\/)?[\w-]+\.ts$/.exec(path);
  if (inGateway === null) return undefined;
  const [, folder] = inGateway;
  if (folder === undefined) return GATEWAY_FOLDERS.length;
  const rank = GATEWAY_FOLDERS.indexOf(folder);
  return rank === -1 ? undefined : rank;
}

function importsOf({ path, code }: Source): string[] {
  return Array.from(code.matchAll(/\bfrom "(\.[^"]+)"/g), ([, target = ""]) =>
    posix.join(posix.dirname(path), target),
  );
}

/** @returns imports of a higher folder, as `from -> to` */
function upwardImports(sources: readonly Source[]): string[] {
  return sources.flatMap((each) => {
    const own = rankOf(each.path);
    if (own === undefined) return [];
    return importsOf(each)
      .filter((target) => (rankOf(target) ?? -1) > own)
      .map((target) => `${each.path} -> ${target}`);
  });
}

function source(path: string, target: string): Source {
  const text = `import { a } from "${target}";`;
  return { path, text, code: text };
}

describe("the architecture", () => {
  it("imports downwards within the gateway", () => {
    assert.deepEqual(upwardImports(SRC), []);
  });

  it("has lint rules for folders that exist, and for every room", () => {
    const config = readFileSync(join(ROOT, ".oxlintrc.json"), "utf8");
    const rooms = readdirSync(join(ROOT, "src"), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    const globs = Array.from(config.matchAll(/"(src\/[^"\s]+)"/g), ([, glob = ""]) => glob);
    assert.deepEqual(
      globs.filter((glob) => globSync(glob, { cwd: ROOT }).length === 0),
      [],
    );
    assert.deepEqual(
      rooms.filter((room) => !globs.includes(`src/${room}/**`)),
      [],
    );
    // Folders that an import must not reach, as `(telemetry|wire|…)/`.
    const named = Array.from(config.matchAll(/\(([a-z-]+(?:\|[a-z-]+)+)\)\//g), ([, names = ""]) =>
      names.split("|"),
    );
    assert.deepEqual(
      [...new Set(named.flat())].filter(
        (name) => ![`src/${name}`, `src/gateway/${name}`].some((folder) => existsSync(join(ROOT, folder))),
      ),
      [],
    );
  });

  it("finds an import upwards", () => {
    assert.deepEqual(
      upwardImports([
        source("src/gateway/http/a.ts", "../requests/b.ts"),
        source("src/gateway/http/a.ts", "../routes.ts"),
        source("src/gateway/requests/a.ts", "../http/b.ts"),
        source("src/gateway/routes.ts", "./http/b.ts"),
        source("src/worker/a.ts", "../gateway/http/b.ts"),
      ]),
      [
        "src/gateway/http/a.ts -> src/gateway/requests/b.ts",
        "src/gateway/http/a.ts -> src/gateway/routes.ts",
      ],
    );
  });

  it("reads the environment in src/config only", () => {
    assert.deepEqual(offenders(SRC, /\bprocess\.env\b/, /^src\/config\//), []);
  });

  it("builds Redis keys in src/redis/keys.ts only", () => {
    assert.deepEqual(offenders(SRC, /\bprefix\}:|["'`]sgnet:/, /^src\/redis\/keys\.ts$/), []);
  });

  it("keeps clock, chance, I/O and globals of the process out of the pure rooms", () => {
    const impure =
      /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.|process\.|setTimeout|setInterval|setImmediate|fetch\(|console\.|await )/;
    assert.deepEqual(offenders(PURE, impure, /^src\/core\/ambient\.ts$/), []);
  });

  it("loads at run time only what the importing room may import", () => {
    const lazy = SRC.flatMap(({ path, code }) =>
      Array.from(code.matchAll(/\bimport\(\s*"([^"]+)"/g), ([, target]) => `${path} -> ${target}`),
    );
    const allowed = [
      /^src\/cli\.ts -> \.\/commands\//,
      /^src\/backends\/.+ -> \.\.?\/(?:\w|-|\/)+\.ts$/,
      /^src\/backends\/embedded\/\S+ -> node-llama-cpp$/,
      /^src\/telemetry\/tracing\.ts -> @opentelemetry\//,
      /^src\/gateway\/openapi-route\.ts -> \.\/openapi\/document\.ts$/,
    ];
    assert.deepEqual(
      lazy.filter((edge) => !allowed.some((pattern) => pattern.test(edge))),
      [],
    );
  });

  it("requires the native HTTP module in src/gateway/http/uws.ts only", () => {
    assert.deepEqual(offenders(SRC, /\bcreateRequire\b/, /^src\/gateway\/http\/uws\.ts$/), []);
  });

  it("writes to the console by its log only", () => {
    assert.deepEqual(offenders(SRC, /\bconsole\./, NOWHERE), []);
  });

  it("has no junk drawers", () => {
    const drawers = /\/(?:utils?|common|helpers?|types|interfaces|misc|lib)(?:\/|\.ts$)|\/index\.ts$/;
    assert.deepEqual(
      SRC.filter(({ path }) => drawers.test(path)).map(({ path }) => path),
      [],
    );
  });

  it("switches no rule off without a reason, and leaves nothing to do later", () => {
    const silent =
      /(?:oxlint|eslint)-disable(?!.* -- )|@ts-(?:ignore|nocheck)|@ts-expect-error\s*$|\b(?:TODO|FIXME|XXX)\b/m;
    const found = ALL.filter(({ path, text }) => path !== SELF && silent.test(text)).map(({ path }) => path);
    assert.deepEqual(found, []);
  });

  it("names no path of the machine it was written on", () => {
    const machine = /(?<![\w.])\/work\/|\.\.\/shared\b/;
    const found = ALL.filter(({ path, text }) => path !== SELF && machine.test(text)).map(({ path }) => path);
    assert.deepEqual(found, []);
  });
});
