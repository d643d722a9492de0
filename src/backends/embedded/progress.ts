/** Shows the progress of a download. */
export interface Progress {
  /** @param bytes received so far */
  at(bytes: number): void;
  /** Ends the line; call it on success and on failure. */
  close(): void;
}

export interface ProgressOptions {
  /** Name of the download, e.g. a file name. */
  readonly label: string;
  /** Size in bytes of the whole. */
  readonly total: number;
  readonly write: (text: string) => void;
  /** True: a bar on one line, which is redrawn. False: a plain line at each quarter. */
  readonly terminal: boolean;
}

const WIDTH = 30;
const QUARTER = 25;

/** Opens a progress display; nothing is written before the first `at`. */
export function openProgress(options: ProgressOptions): Progress {
  return options.terminal ? openBar(options) : openLines(options);
}

function openBar({ label, total, write }: ProgressOptions): Progress {
  let drawn = "";
  return {
    at: (bytes) => {
      const share = Math.min(1, bytes / total);
      const bar = "#".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, ".");
      const line = `\r${label} [${bar}] ${percent(share)} of ${megabytes(total)}`;
      if (line !== drawn) write(line);
      drawn = line;
    },
    close: () => {
      if (drawn !== "") write("\n");
    },
  };
}

function openLines({ label, total, write }: ProgressOptions): Progress {
  let next = 0;
  return {
    at: (bytes) => {
      const share = Math.min(1, bytes / total);
      if (share * 100 < next) return;
      write(`${label}: ${percent(share)} of ${megabytes(total)}\n`);
      next = (Math.floor((share * 100) / QUARTER) + 1) * QUARTER;
    },
    close: () => {},
  };
}

function percent(share: number): string {
  return `${Math.floor(share * 100)} %`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
