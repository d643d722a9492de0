import { readdirSync, readFileSync } from "node:fs";

/**
 * Ends what a client has left running: some start a daemon in a session of its own. It is told by its home, which is
 * of this run alone. Where there is no /proc, nothing is found.
 */
export function endLeftovers(home: string): void {
  for (const pid of processes()) {
    if (!environmentOf(pid).includes(`HOME=${home}`)) continue;
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}

function processes(): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

function environmentOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    // It has ended, or is another user's.
    return [];
  }
}
