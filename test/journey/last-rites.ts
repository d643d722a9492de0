/** What must not outlive this test process, however it ends short of SIGKILL. */
const rites = new Set<() => void>();

process.on("exit", () => {
  for (const rite of rites) rite();
});
// Without a listener the test runner's own signals would end this process without an exit event.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => process.exit(1));

/** Calls `rite` when this process exits, unless the returned function was called before. */
export function atExit(rite: () => void): () => void {
  rites.add(rite);
  return () => void rites.delete(rite);
}
