import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";

const BYTES = 8;

/** The wall clock of one seat's processes: it can be set while they run. Their monotonic clock is nobody's to set. */
export class WallClock {
  /** For the environment of a process that has this clock. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;

  /** @param library built by `buildClock` @param file is created and holds the error of the clock */
  constructor(library: string, file: string) {
    this.#file = file;
    writeFileSync(file, Buffer.alloc(BYTES));
    this.env = { LD_PRELOAD: library, CHAOS_CLOCK: file };
  }

  /** Sets how far the clock is ahead from now on, whole ms; negative when it is behind. */
  set(aheadMs: number): void {
    const micros = Buffer.alloc(BYTES);
    micros.writeBigInt64LE(BigInt(aheadMs) * 1000n);
    const file = openSync(this.#file, "r+");
    // In place: the processes look into this very file.
    writeSync(file, micros, 0, BYTES, 0);
    closeSync(file);
  }
}
