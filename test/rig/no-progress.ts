import type { AttemptProgress } from "../../src/backends/backend.ts";

/** For sinks of tests that are not about time. */
export const NO_PROGRESS: AttemptProgress = { connecting: () => {}, sent: () => {}, alive: () => {} };
