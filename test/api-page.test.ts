import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { auditRoute } from "../src/gateway/admin/audit-route.ts";
import { keyRoutes, type RecordHost } from "../src/gateway/admin/key-routes.ts";
import { tenantRoutes } from "../src/gateway/admin/tenant-routes.ts";
import { usageRoute } from "../src/gateway/access/usage-route.ts";
import type { UsageHost } from "../src/gateway/access/usage-route.ts";
import { adminRoutes, type AdminHost } from "../src/gateway/dead-letters/admin-routes.ts";
import { managementRoutes, type ManagementHost } from "../src/gateway/models/management.ts";
import { buildRoutes, type RoutesHost } from "../src/gateway/routes.ts";
import { openUi } from "../src/gateway/live-page.ts";
import { OPENAI_PROFILES } from "../src/protocols/openai/profiles.ts";

const ROOT = join(import.meta.dirname, "..");
const page = readFileSync(join(ROOT, "docs/api.md"), "utf8");

function section(title: string): string {
  const [, text] = page.split(`## ${title}\n`);
  assert.ok(text !== undefined, title);
  return text.split("\n## ")[0] ?? "";
}

/** The cells of the rows of a section's tables. */
function rowsOf(title: string): string[][] {
  const lines = section(title)
    .split("\n")
    .filter((line) => line.startsWith("| "));
  return lines.map((line) =>
    line
      .slice(2, -1)
      .split(" | ")
      .map((cell) => cell.trim()),
  );
}

function namesIn(text: string): string[] {
  return Array.from(text.matchAll(/`([^`]+)`/g), ([, name = ""]) => name);
}

/** The files that read the requests of a dialect. */
const READERS: Readonly<Record<string, readonly string[]>> = {
  "Ollama's dialect": [
    "ollama/request.ts",
    "ollama/messages.ts",
    "ollama/embed-request.ts",
    "ollama/management.ts",
    "ollama/options.ts",
  ],
  "OpenAI's dialect": [
    "openai/chat-request.ts",
    "openai/messages.ts",
    "openai/sampling.ts",
    "openai/completion-request.ts",
    "openai/embed-request.ts",
    "openai/responses-request.ts",
    "openai/responses-items.ts",
    "openai/responses-content.ts",
    "openai/responses-choice.ts",
    "openai/tool-forms.ts",
    "openai/tool-table.ts",
  ],
  "Anthropic's dialect": [
    "anthropic/request.ts",
    "anthropic/content.ts",
    "anthropic/messages.ts",
    "anthropic/tools.ts",
    "anthropic/tool-changes.ts",
    "anthropic/known-tools.ts",
    "anthropic/server-tools.ts",
  ],
};

/** The forms in which readers name a field: a method, a function, a member, or a list. */
const FIELD_FORMS = [
  /\.(?:any|text|flag|integer|number|object|list|texts|integers|objects|inner)\("(\w+)"/g,
  /\b(?:\w+Field|required|requiredText|textsOf|readBlockContent|readItemContent)\([^()]*(?:\([^()]*\)[^()]*)*, "(\w+)"/g,
  /\b(?:body|item|part|choice|holder)\["(\w+)"\]/g,
  /^ {2}\["(\w+)", \{/gm,
  /^const STATEFUL = \[(.*)\]/gm,
  /^const \w*FIELDS = new Set\(\[(.*)\]\)/gm,
  /^const (?:COMMON|GENERATE_ONLY) = \[(.*)\]/gm,
  /^const KNOWN = new Set\(\[?\s*\(?([^)]*)/gm,
];

function fieldsRead(file: string): string[] {
  const source = readFileSync(join(ROOT, "src/protocols", file), "utf8");
  const found = FIELD_FORMS.flatMap((form) => Array.from(source.matchAll(form), ([, names = ""]) => names));
  return found.flatMap((names) => names.match(/\b[a-z]\w*/g) ?? []);
}

describe("the page of the API", () => {
  it("has every endpoint of the gateway, and no other", () => {
    const management = [
      ...managementRoutes({} as ManagementHost),
      ...adminRoutes({} as AdminHost),
      ...keyRoutes({} as RecordHost),
      ...tenantRoutes({} as RecordHost),
      auditRoute({} as Parameters<typeof auditRoute>[0]),
      usageRoute({} as UsageHost),
    ];
    const host = { management, ui: openUi(() => {}), metrics: {}, build: "" };
    const served = buildRoutes(host as unknown as RoutesHost).map(({ method, path }) => `${method} ${path}`);
    const told = rowsOf("Endpoints").flatMap(([first = ""]) => namesIn(first));
    const listed = told.filter((name) => name.includes(" ")).map((name) => name.replace(/\{\w+\}/, "*"));
    // The page says it once: HEAD is answered wherever GET is.
    const heads = listed.filter((name) => name.startsWith("GET ")).map((name) => name.replace("GET", "HEAD"));
    const files = served.map((route) => route.replace(/\/ui\/\w+\.\w+$/, "/ui/*").replace(/:\w+/, "*"));
    assert.deepEqual([...listed, ...heads].toSorted(), [...new Set(files)].toSorted());
  });

  it("has every field that a request's reader knows", () => {
    const shared = section("Sampling") + section("Endpoints");
    for (const [title, files] of Object.entries(READERS)) {
      const text = section(title) + shared;
      const told = new Set(namesIn(text).flatMap((name) => name.match(/\w+/g) ?? []));
      const fields = new Set(files.flatMap(fieldsRead));
      assert.ok(fields.size > 20, `${title}: only ${fields.size} fields were found`);
      assert.deepEqual(
        [...fields].filter((name) => !told.has(name)),
        [],
        title,
      );
    }
  });

  it("says of each sampling value what each kind of backend is sent", () => {
    const [head = [], , ...rows] = rowsOf("Sampling");
    const kinds = head.flatMap(namesIn);
    for (const [kind, { sampling }] of Object.entries(OPENAI_PROFILES)) {
      const column = kinds.indexOf(kind);
      const told = rows.flatMap((row) => namesIn(row[column] ?? ""));
      assert.deepEqual(told.toSorted(), Object.values(sampling).toSorted(), kind);
    }
  });
});
