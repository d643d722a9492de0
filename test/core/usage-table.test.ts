import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { NO_USAGE, readUsageField, usageField, USAGE_COUNTS } from "../../src/core/access/usage-record.ts";
import type { UsageRecord } from "../../src/core/access/usage-record.ts";
import {
  USAGE_COLUMNS,
  groupUsage,
  readUsageColumns,
  usageCsv,
  usageSum,
} from "../../src/core/access/usage-table.ts";

function record(more: Partial<UsageRecord>): UsageRecord {
  return { ...NO_USAGE, tenant: "t", key: "k1", model: "tiny", day: "20261130", requests: 1, ...more };
}

const NAMES = new Map([["k1", "laptop"]]);

/** Reads CSV as RFC 4180 has it. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let [row, cell, isQuoted]: [string[], string, boolean] = [[], "", false];
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? "";
    if (isQuoted && char === '"' && text[at + 1] === '"') {
      cell += char;
      at += 1;
    } else if (char === '"') isQuoted = !isQuoted;
    else if (!isQuoted && (char === "," || (char === "\r" && text[at + 1] === "\n"))) {
      row.push(cell);
      cell = "";
      if (char === ",") continue;
      at += 1;
      rows.push(row);
      row = [];
    } else cell += char;
  }
  return rows;
}

describe("a table of usage", () => {
  it("groups by any columns, and every grouping has the same sum", () => {
    const name = fc.constantFrom("a", "b", "__proto__", "");
    const one = fc.record({
      tenant: name,
      key: name,
      model: name,
      day: fc.constantFrom("20240229", "20261130"),
      inputTokens: fc.nat(1000),
      outputTokens: fc.nat(1000),
      cachedTokens: fc.nat(1000),
      requests: fc.nat(10),
      errors: fc.nat(10),
    });
    const columns = fc.uniqueArray(fc.constantFrom(...USAGE_COLUMNS), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(one), columns, (records, by) => {
        const rows = groupUsage(records, by, () => undefined);
        assert.deepEqual(usageSum(rows), usageSum(records));
        const ids = rows.map((row) => JSON.stringify(by.map((column) => row[column])));
        assert.equal(new Set(ids).size, ids.length);
      }),
    );
  });

  it("names keys, and writes days as people do", () => {
    const rows = groupUsage([record({}), record({ key: "k2" })], ["key", "day"], (key) => NAMES.get(key));
    assert.deepEqual(rows, [
      { ...NO_USAGE, key: "k1", keyName: "laptop", day: "2026-11-30", requests: 1 },
      { ...NO_USAGE, key: "k2", day: "2026-11-30", requests: 1 },
    ]);
  });

  it("reads a list of columns", () => {
    assert.deepEqual(readUsageColumns("Key, model,key"), ["key", "model"]);
    for (const list of ["", "keys", "key,", "constructor"])
      assert.equal(readUsageColumns(list), undefined, list);
  });
});

describe("usage as CSV", () => {
  it("has a head, and both id and name of a key", () => {
    const rows = groupUsage([record({ inputTokens: 5 })], ["tenant", "key"], (key) => NAMES.get(key));
    assert.equal(
      usageCsv(rows, ["tenant", "key"]),
      "tenant,key,key_name,input_tokens,output_tokens,cached_tokens,requests,errors\r\nt,k1,laptop,5,0,0,1,0\r\n",
    );
  });

  it("lets no name become a formula", () => {
    for (const name of [
      "=1+1",
      "+1",
      "-1",
      "@SUM(1)",
      "\t=1",
      "\r=1",
      " =1",
      "＝1",
      "=cmd|' /C calc'!A0",
      '"=1',
    ]) {
      const csv = usageCsv(
        groupUsage([record({})], ["key"], () => name),
        ["key"],
      );
      const cell = readCsv(csv)[1]?.[1] ?? "";
      assert.ok(/^['"]/.test(cell), JSON.stringify(cell));
      assert.equal(cell.replace(/^'/, ""), name);
    }
  });

  it("comes back as it was, whatever the names are", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (name, model) => {
        const rows = groupUsage([record({ model })], ["key", "model"], () => name);
        const cells = readCsv(usageCsv(rows, ["key", "model"]))[1] ?? [];
        assert.equal(cells.length, 8);
        for (const [cell, given] of [
          [cells[1], name],
          [cells[2], model],
        ]) {
          assert.ok(cell === given || cell === `'${given}`);
          assert.doesNotMatch(cell ?? "", /^\s*[=+\-@]/);
        }
      }),
    );
  });
});

describe("a field of usage in Redis", () => {
  it("is read as it was written", () => {
    const text = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(text, text, fc.constantFrom(...USAGE_COUNTS), (key, model, count) => {
        assert.deepEqual(readUsageField(usageField(key, model, count)), { key, model, count });
      }),
    );
  });
});
