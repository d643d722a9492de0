import { ProgramError, runProgram } from "./program.ts";

/** Runs pip with its temporary files in the folder of the first argument. That folder can be watched and removed. */
const PIP_IN_FOLDER = [
  "import runpy, sys, tempfile",
  "tempfile.tempdir = sys.argv.pop(1)",
  'runpy.run_module("pip", run_name="__main__", alter_sys=True)',
].join("\n");

/** The first Python on PATH that has pip; undefined when none has. */
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

/** Downloads one wheel into a folder, with the user's configuration of pip. Throws an Error with pip's last line. */
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

/** Unpacks a zip archive into a folder. Python checks the CRCs and keeps each entry inside the folder. */
export async function unzip(python: string, archive: string, folder: string): Promise<void> {
  await run(python, ["-m", "zipfile", "-e", archive, folder]);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  try {
    await runProgram(command, args);
  } catch (error) {
    const reason = error instanceof ProgramError ? lastLine(error.output) : undefined;
    throw reason === undefined ? error : new Error(reason, { cause: error });
  }
}

function lastLine(text: string): string | undefined {
  return text.trimEnd().split("\n").at(-1)?.trim() || undefined;
}
