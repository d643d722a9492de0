import { readFileSync } from "node:fs";
import { join } from "node:path";

const FILE = join(import.meta.dirname, "../../grafana/prometheus/rules.yml");

export interface Rule {
  readonly kind: "alert" | "record";
  readonly name: string;
  /** As it stands in the file. */
  readonly text: string;
}

/** The rules of rules.yml, read by its layout, which the formatter keeps. */
export function readRules(): Rule[] {
  const [, ...blocks] = readFileSync(FILE, "utf8").split(/^ {6}- (?=alert:|record:)/m);
  return blocks.map((text) => {
    const [, kind, name = ""] = /^(alert|record): (\S+)/.exec(text) ?? [];
    return { kind: kind === "alert" ? "alert" : "record", name, text };
  });
}

/** Names of metrics of ours, and of Node's, that a query or rule reads. */
export function metricsIn(text: string): Set<string> {
  return new Set(text.match(/\b(?:sgnet|nodejs|process)_\w+/g));
}
