import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * Grafana's components, kept out of package.json because they are large (460 MB with what they need): npm installs them
 * into a folder for temporary files, where the next run finds them.
 */

const GRAFANA = "13.2.2";
const PACKAGES = [
  ...["data", "i18n", "schema", "ui"].map((name) => `@grafana/${name}@${GRAFANA}`),
  "@fontsource/inter@5.3.0",
  "esbuild@0.28.2",
  "react@19.3.1",
  "react-dom@19.3.1",
];

const run = promisify(execFile);

/** A page that can draw, as files. */
export interface Bundle {
  /** Defines `drawing.draw`, see `page.ts`. */
  readonly script: string;
  readonly style: string;
  /** The file of an icon or a font that the components ask for under the paths of a Grafana server. */
  readonly beside: (pathname: string) => string | undefined;
}

/** Installs what is missing and bundles the page. It takes a minute the first time. */
export async function bundlePage(): Promise<Bundle> {
  const folder = join(tmpdir(), `sgnet-grafana-${GRAFANA}`);
  await mkdir(folder, { recursive: true });
  const modules = join(folder, "node_modules");
  if (!existsSync(join(modules, ".package-lock.json"))) {
    await writeFile(join(folder, "package.json"), "{}");
    const quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--save-exact"];
    await run("npm", ["install", ...quiet, ...PACKAGES], { cwd: folder });
  }
  const script = join(folder, "page.js");
  const options = [
    "--bundle",
    "--minify",
    "--format=iife",
    "--global-name=drawing",
    "--loader:.ttf=empty",
    '--define:process.env.NODE_ENV="production"',
    "--log-level=error",
    `--outfile=${script}`,
  ];
  const entry = join(folder, "entry.ts");
  await writeFile(entry, `export { draw } from ${JSON.stringify(join(import.meta.dirname, "page.ts"))};\n`);
  const env = { ...process.env, NODE_PATH: modules };
  await run(join(modules, ".bin/esbuild"), [entry, ...options], { cwd: folder, env });
  return { script, style: join(folder, "page.css"), beside: (pathname) => fileBeside(modules, pathname) };
}

const WEIGHTS: Readonly<Record<string, string>> = { Regular: "400", Medium: "500" };

function fileBeside(modules: string, pathname: string): string | undefined {
  const icon = /^\/public\/build\/(img\/icons\/[\w-]+\/[\w-]+\.svg)$/.exec(pathname)?.[1];
  if (icon !== undefined) return join(modules, "@grafana/ui/dist/public", icon);
  const weight = WEIGHTS[/^\/public\/fonts\/inter\/Inter-(\w+)\.woff2$/.exec(pathname)?.[1] ?? ""];
  if (weight === undefined) return undefined;
  return join(modules, `@fontsource/inter/files/inter-latin-${weight}-normal.woff2`);
}
