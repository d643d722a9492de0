import { createHash } from "node:crypto";
import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** Unix socket addresses hold 103 (macOS) to 107 (Linux) bytes. */
const MAX_BYTES = 100;

/**
 * Where the unix socket of this name belongs for this folder: in the folder itself, or, when that path is too
 * long for a socket address, in a private temporary folder that is always the same for it.
 */
export function socketPath(dir: string, name: string): string {
  const path = join(dir, name);
  if (Buffer.byteLength(path) <= MAX_BYTES) return path;
  const { uid } = userInfo();
  const short = createHash("sha256").update(dir).digest("hex").slice(0, 12);
  const folder = join(tmpdir(), `sgnet-${uid}-${short}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== uid)
    throw new Error(`The folder ${folder} belongs to another user.`);
  chmodSync(folder, 0o700);
  return join(folder, name);
}
