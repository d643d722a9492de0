const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The exit code of a command that Ctrl-C ended, as shells tell it. */
export const INTERRUPTED = 130;

export interface StopRequest {
  /** Resolves at the first signal, or when the parent that started this process with a channel is gone. */
  readonly requested: Promise<void>;
  /** Gives the signals back to Node's own handling. */
  release(): void;
}

/**
 * Listens for the wish to stop. A second signal ends the process at once, with exit code 1.
 * @param onSecond is called right before that, and must not wait for anything
 */
export function listenForStop(onSecond: () => void = () => {}): StopRequest {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = false;
  const onSignal = (): void => {
    if (asked) {
      onSecond();
      process.exit(1);
    }
    asked = true;
    resolve();
  };
  const onOrphaned = (): void => {
    asked = true;
    resolve();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  process.once("disconnect", onOrphaned);
  const release = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
    process.off("disconnect", onOrphaned);
  };
  return { requested: promise, release };
}
