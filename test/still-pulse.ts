import type { Pulse } from "../src/backends/backend.ts";

/** For sinks of tests that are not about time. */
export const STILL_PULSE: Pulse = { connecting: () => {}, sent: () => {}, alive: () => {} };
