import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv";
import { Fault } from "../../src/core/fault.ts";
import { isObject, type Json, type JsonObject } from "../../src/core/json.ts";
import { usageRoute } from "../../src/gateway/access/usage-route.ts";
import { auditRoute } from "../../src/gateway/admin/audit-route.ts";
import { keyRoutes, type RecordHost } from "../../src/gateway/admin/key-routes.ts";
import { tenantRoutes } from "../../src/gateway/admin/tenant-routes.ts";
import { adminRoutes, type AdminHost } from "../../src/gateway/dead-letters/admin-routes.ts";
import { managementRoutes, type ManagementHost } from "../../src/gateway/models/management.ts";
import { CHAPTERS, openApi } from "../../src/gateway/openapi/document.ts";
import type { Chapter } from "../../src/gateway/openapi/operation.ts";
import { RELAYED_FORMS } from "../../src/gateway/openapi/relayed-forms.ts";
import { RELAYED } from "../../src/gateway/openapi/relayed.ts";
import { buildRoutes, type RoutesHost } from "../../src/gateway/routes.ts";
import { openUi, PAGE_FILES } from "../../src/gateway/live-page.ts";
import { serverCodec, TASK_ROUTES } from "../../src/protocols/dialects.ts";

const GATEWAY = { version: "1.2.3", needsKey: true, pageFiles: PAGE_FILES };

/** Written for endpoints that may not be routed yet. */
const TO_COME: readonly Chapter[] = [RELAYED, RELAYED_FORMS];
const ALL: readonly Chapter[] = [...new Set([...CHAPTERS, ...TO_COME])];

/** `GET /v1/models/*`, for every method of every path that a gateway serves. */
function served(): string[] {
  const host = {
    management: [
      ...managementRoutes({} as ManagementHost),
      ...adminRoutes({} as AdminHost),
      ...keyRoutes({} as RecordHost),
      ...tenantRoutes({} as RecordHost),
      auditRoute({} as Parameters<typeof auditRoute>[0]),
      usageRoute({} as Parameters<typeof usageRoute>[0]),
    ],
    ui: openUi(() => {}),
    metrics: {},
    build: "",
  };
  const routes = buildRoutes(host as unknown as RoutesHost);
  return routes.map(({ method, path }) => `${method} ${path.replace(/:\w+/, "*")}`).toSorted();
}

/** An import that loads a part of the description at once. */
const STATIC_IMPORT = /^import (?!type )[^;]* from "\.\.?\/openapi\//m;

function asObject(value: Json | undefined): JsonObject {
  assert.ok(isObject(value));
  return value;
}

function asList(value: Json | undefined): readonly Json[] {
  assert.ok(Array.isArray(value));
  return value;
}

/** The same of a document. */
function told(document: JsonObject): string[] {
  const found = Object.entries(asObject(document["paths"])).flatMap(([path, methods]) =>
    Object.keys(asObject(methods)).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/, "*")}`),
  );
  return found.toSorted();
}

/** Every value below one, itself too. */
function* within(value: Json | undefined): Generator<JsonObject> {
  if (Array.isArray(value)) for (const item of value) yield* within(item);
  if (!isObject(value)) return;
  yield value;
  for (const inner of Object.values(value)) yield* within(inner);
}

function securityOf(path: string, needsKey: boolean): Json | undefined {
  const methods = asObject(asObject(openApi({ ...GATEWAY, needsKey })["paths"])[path]);
  return Object.values(methods).map((operation) => asObject(operation)["security"] ?? null)[0];
}

/** Names of what the query of an operation may have, and whether it must. */
function queryOf(path: string, method: string): Json[] {
  const operation = asObject(asObject(asObject(openApi(GATEWAY)["paths"])[path])[method]);
  return asList(operation["parameters"])
    .map(asObject)
    .filter((parameter) => parameter["in"] === "query")
    .map((parameter) => [parameter["name"] ?? "", parameter["required"] ?? false]);
}

describe("the description of what is served", () => {
  it("has every method of every path, and no other", () => {
    assert.deepEqual(told(openApi(GATEWAY)), served());
  });

  it("has what is relayed as soon as it is routed", () => {
    const routes = new Set(served());
    const missing = TO_COME.filter((chapter) => !CHAPTERS.includes(chapter)).flatMap(({ operations }) =>
      operations.map(({ method, path }) => `${method} ${path}`).filter((route) => routes.has(route)),
    );
    assert.deepEqual(missing, [], "add its chapter to CHAPTERS");
  });

  for (const [what, chapters] of [
    ["as it is served", CHAPTERS],
    ["with all that is written", ALL],
  ] as const) {
    it(`is valid OpenAPI 3.1, ${what}`, async () => {
      const validator = new Validator();
      const { valid, errors } = await validator.validate(structuredClone(openApi(GATEWAY, chapters)));
      assert.deepEqual([valid, errors, validator.version], [true, undefined, "3.1"]);
    });

    it(`names what it has, and has what it names, ${what}`, () => {
      const document = openApi(GATEWAY, chapters);
      const refs = new Set(
        Array.from(within(document), ({ $ref }) => $ref).filter((ref) => ref !== undefined),
      );
      const components = Object.entries(asObject(document["components"])).flatMap(([kind, parts]) =>
        Object.keys(asObject(parts)).map((name) => `#/components/${kind}/${name}`),
      );
      // Keys are named by `security`, without a reference.
      const own = components.filter((name) => !name.startsWith("#/components/securitySchemes/"));
      assert.deepEqual([...refs].map(String).toSorted(), own.toSorted());
    });

    it(`gives every operation a name of its own and a tag that is told, ${what}`, () => {
      const document = openApi(GATEWAY, chapters);
      const operations = Array.from(within(document["paths"])).filter((part) => "operationId" in part);
      const ids = operations.map(({ operationId }) => operationId);
      assert.equal(new Set(ids).size, ids.length);
      assert.equal(ids.length, told(document).length);
    });
  }

  it("has both forms of what OpenAI's and Anthropic's clients ask for at one path", () => {
    const document = openApi(GATEWAY);
    const components = asObject(document["components"]);
    for (const [path, ok, bad] of [
      ["/v1/models", ["OpenAIModels", "AnthropicModels"], "400"],
      ["/v1/models/{id}", ["OpenAIModel", "AnthropicModel"], "404"],
    ] as const) {
      const get = asObject(asObject(asObject(document["paths"])[path])["get"]);
      const formsOf = (status: string): Json[] => {
        const answer = asObject(asObject(get["responses"])[status]);
        const { $ref } = answer;
        const name = typeof $ref === "string" ? ($ref.split("/").at(-1) ?? "") : "";
        const whole = name === "" ? answer : asObject(asObject(components["responses"])[name]);
        assert.ok("request-id" in asObject(whole["headers"]), `${path} ${status}`);
        const schema = asObject(asObject(asObject(whole["content"])["application/json"])["schema"]);
        return asList(schema["anyOf"]).map((form) => asObject(form)["$ref"] ?? null);
      };
      assert.deepEqual(
        formsOf("200"),
        ok.map((name) => `#/components/schemas/${name}`),
      );
      const errors = ["OpenAIError", "AnthropicError"].map((name) => `#/components/schemas/${name}`);
      for (const status of [bad, "401", "503"]) assert.deepEqual(formsOf(status), errors, status);
      const refs = asList(get["parameters"]).map((parameter) => asObject(parameter)["$ref"]);
      assert.ok(refs.includes("#/components/parameters/anthropic-version"));
    }
  });

  it("has the questions of a query", () => {
    for (const method of ["get", "head"]) {
      const names = ["limit", "after_id", "before_id", "lifecycle"];
      assert.deepEqual(
        queryOf("/v1/models", method),
        names.map((name) => [name, false]),
      );
      assert.deepEqual(queryOf("/readyz", method), [["strict", false]]);
    }
  });

  it("is loaded when it is asked for, not when a gateway starts", () => {
    const folder = join(import.meta.dirname, "../../src/gateway");
    const users = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => {
      return file.endsWith(".ts") && STATIC_IMPORT.test(readFileSync(join(folder, file), "utf8"));
    });
    assert.deepEqual(users, []);
  });

  it("says who needs which key", () => {
    const keys = [{ bearer: [] }, { apiKey: [] }];
    assert.deepEqual(securityOf("/v1/models", true), keys);
    assert.deepEqual(securityOf("/v1/models", false), [...keys, {}]);
    assert.deepEqual(securityOf("/api/pull", false), keys);
    assert.deepEqual(securityOf("/health", true), []);
  });
});

/** The schemas of the bodies of tasks, compiled. */
class Bodies {
  readonly #ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true });
  readonly #document: JsonObject = openApi(GATEWAY);

  constructor() {
    this.#ajv.addVocabulary(["components", "paths", "openapi", "info", "servers", "tags"]);
    this.#ajv.addFormat("date-time", true).addFormat("binary", true);
    this.#ajv.addSchema({ ...this.#document, $id: "gateway" });
  }

  of(path: string): { readonly check: ValidateFunction; readonly members: readonly string[] } {
    const post = asObject(asObject(asObject(this.#document["paths"])[path])["post"]);
    const content = asObject(asObject(post["requestBody"])["content"]);
    const { $ref } = asObject(asObject(content["application/json"])["schema"]);
    assert.ok(typeof $ref === "string");
    const name = $ref.split("/").at(-1) ?? "";
    const schemas = asObject(asObject(this.#document["components"])["schemas"]);
    const check = this.#ajv.getSchema(`gateway${$ref}`);
    assert.ok(check !== undefined);
    return { check, members: Object.keys(asObject(asObject(schemas[name])["properties"])) };
  }
}

const MINIMAL: JsonObject = {
  model: "tiny",
  messages: [{ role: "user", content: "Hi" }],
  prompt: "Hi",
  input: "Hi",
  max_tokens: 5,
  query: "Hi",
  documents: ["Hi"],
  text_1: "Hi",
  text_2: "Hi",
  tokens: [1],
};

/** A value of each type, and some that differ within a type. */
const SAMPLES: readonly Json[] = [
  null,
  "x",
  "",
  "json",
  "low",
  0,
  1,
  7,
  -1,
  1.5,
  true,
  false,
  [],
  {},
  ["x"],
  [1],
];
const MORE: readonly Json[] = [[{}], [[1]], [null], [true], { type: "x" }, { role: "user" }];

/** Members that the gateway does not read, or reads only in part: their types are told, and not checked. */
const UNCHECKED: ReadonlySet<string> = new Set(
  "include logit_bias metadata modalities reasoning service_tier store stream_options text user verbosity".split(
    " ",
  ),
);

/**
 * Some refused values cannot be described by a schema: texts that are no image, and tools that are not offered. Work in
 * the background is another: generators of clients do not understand a flag that must be false.
 */
function isJudged(name: string, value: Json | undefined): boolean {
  if (name === "background") return value === true;
  return name === "images" || (name === "tool_choice" && isObject(value));
}

/** Paths whose bodies backends read: the gateway looks only at these members of them. */
const RELAYED_PATHS = new Set(TO_COME.flatMap(({ operations }) => operations.map(({ path }) => path)));
const READ_OF_RELAYED: ReadonlySet<string> = new Set(["model", "stream"]);

/** Paths that take a form have no members that JSON Schema could tell. */
const FORMS = new Set(RELAYED_FORMS.operations.map(({ path }) => path));

describe("the schema of a body", () => {
  const bodies = new Bodies();
  for (const { path, endpoint } of TASK_ROUTES.filter((route) => !FORMS.has(route.path))) {
    const isTaken = (body: JsonObject): boolean => {
      try {
        serverCodec(endpoint).validate(body);
        return true;
      } catch (error) {
        assert.ok(error instanceof Fault, String(error));
        return false;
      }
    };

    it(`of ${path} takes and refuses what the gateway does, member by member`, () => {
      const { check, members } = bodies.of(path);
      const base = Object.fromEntries(Object.entries(MINIMAL).filter(([name]) => members.includes(name)));
      assert.ok(check(base) && isTaken(base));
      const isRead = (name: string): boolean => !RELAYED_PATHS.has(path) || READ_OF_RELAYED.has(name);
      const wrong = members.filter(isRead).flatMap((name) =>
        [...SAMPLES, ...MORE]
          .map((value) => Object.assign({}, base, { [name]: value }))
          .filter((body) => check(body) !== isTaken(body))
          .filter((body) => !(isTaken(body) ? UNCHECKED.has(name) : isJudged(name, body[name])))
          .map((body) => `${isTaken(body) ? "taken" : "refused"} ${name} ${JSON.stringify(body[name])}`),
      );
      assert.deepEqual(wrong, []);
    });
  }
});
