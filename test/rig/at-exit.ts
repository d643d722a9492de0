/** Cleanups to run when this process ends by anything but SIGKILL. */
const cleanups = new Set<() => void>();

process.on("exit", () => {
  for (const cleanup of cleanups) cleanup();
});
// Without a listener the test runner's own signals would end this process without an exit event.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

/** Calls `cleanup` when this process exits, unless the returned function was called before. */
export function atExit(cleanup: () => void): () => void {
  cleanups.add(cleanup);
  return () => void cleanups.delete(cleanup);
}
