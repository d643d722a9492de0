import { spawnSync } from "node:child_process";

/** Options of a test that needs programs of Prometheus: it is left out, and says why, where they are not installed. */
export function needs(...programs: readonly string[]): { skip: string | false } {
  const missing = programs.filter((program) => spawnSync(program, ["--version"]).error !== undefined);
  if (missing.length === 0) return { skip: false };
  return { skip: `${missing.join(" and ")} not installed: apt-get install prometheus` };
}

/** Runs promtool; returns what is wrong, empty when nothing is. */
export function promtool(args: readonly string[], input = ""): string {
  const { status, stdout, stderr } = spawnSync("promtool", args, { input, encoding: "utf8" });
  return status === 0 ? "" : `${stdout}${stderr}`;
}
