const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Exit code of a command that Ctrl-C ended, by the convention of shells. */
export const INTERRUPTED = 130;

export interface StopRequest {
  /** Resolves at the first signal, or when a parent with a channel is gone. */
  readonly requested: Promise<void>;
  /** Restores Node's own handling of the signals. */
  release(): void;
}

/**
 * Listens for stop signals. A second signal ends the process at once, with exit code 1.
 * @param onSecond called right before that; it must not wait
 */
export function listenForStop(onSecond: () => void = () => {}): StopRequest {
  const { promise, resolve } = Promise.withResolvers<void>();
  let stopping = false;
  const onSignal = (): void => {
    if (stopping) {
      onSecond();
      process.exit(1);
    }
    stopping = true;
    resolve();
  };
  const onOrphaned = (): void => {
    stopping = true;
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
