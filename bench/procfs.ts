/** CPU time and memory of running processes, from Linux's /proc. */
import { readFileSync } from "node:fs";

/** Linux reports CPU time to user space in ticks of 10 ms. */
const TICK_S = 0.01;

/**
 * A figure of a process and all its descendants. Descendants that end meanwhile do not count. Throws when the process
 * has ended.
 */
function overFamily(pid: number, read: (pid: number) => number): number {
  const own = read(pid);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean);
  return children.reduce((sum, child) => {
    try {
      return sum + overFamily(Number(child), read);
    } catch {
      return sum;
    }
  }, own);
}

/** CPU seconds (user and system, all threads) a process and those below it have used so far. Throws when it is gone. */
export function cpuSeconds(pid: number): number {
  return overFamily(pid, ownCpuSeconds);
}

/** CPU seconds a process itself has used so far. Throws when it is gone. */
export function ownCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_S;
}

/** Resident memory of a process and those below it in MB (10^6 bytes). Throws when it is gone. */
export function residentMb(pid: number): number {
  return overFamily(pid, ownResidentMb);
}

function ownResidentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return (Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024) / 1e6;
}

/** CPU seconds all processes of the machine have used so far, with those its host took away. */
export function machineCpuSeconds(): number {
  const fields = readFileSync("/proc/stat", "latin1").split("\n", 1)[0]?.trim().split(/ +/).slice(1) ?? [];
  const [user, nice, system, , , irq, softirq, steal] = fields.map(Number);
  const ticks = [user, nice, system, irq, softirq, steal].reduce<number>((sum, part) => sum + (part ?? 0), 0);
  return ticks * TICK_S;
}
