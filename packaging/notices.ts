import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The page of the published package about the packages that it carries. */

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

/**
 * Writes a page with the name, version and licence of each package. @param folders absolute folders of the packages
 * @param root a folder above them, the base of the names on the page
 */
export function writeNotices(page: string, folders: readonly string[], root: string): void {
  const rows = folders.map((folder) => {
    const {
      name,
      version,
      license = "not given",
    }: Manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return `| ${relative(root, folder).replaceAll("\\", "/")} | ${name} ${version} | ${license} |`;
  });
  const lines = [
    "# Packages that this one carries",
    "",
    "Their licence files are beside them where they have one. The text of the Apache License 2.0 is in `@opentelemetry/api/LICENSE`, that of MIT in `yargs/LICENSE`. `uWebSockets.js` is in `../gateway/http/native`, compressed.",
    "",
    "| folder | package | licence |",
    "| --- | --- | --- |",
    ...rows,
  ];
  writeFileSync(page, `${lines.join("\n")}\n`);
}
