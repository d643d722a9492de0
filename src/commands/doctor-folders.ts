import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Finding } from "./finding.ts";

/** Whether an absolute folder, or the nearest one above it that is there, can be written. */
export function checkFolder(about: string, folder: string): Finding {
  let there = folder;
  while (!existsSync(there)) there = dirname(there);
  if (!statSync(there).isDirectory()) return { ok: false, about, text: `${there} is not a folder.` };
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
    return { ok: true, about, text: `${folder} can be written` };
  } catch (error) {
    return { ok: false, about, text: `${folder} cannot be written (${String(error)}).` };
  }
}
